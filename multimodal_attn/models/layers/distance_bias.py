"""A learned bias for every distance between two positions (Raffel et al. 2020, section 2.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BUCKETS = 32
EXACT = 8  # distances to either side that have a bucket each
FARTHEST = 128  # from here on all distances share the last bucket


class DistanceBias(nn.Module):
    """A number for each head and bucket of distances, added to the scores; near distances have a bucket each.

    Every layer learns its own; in the paper all layers share one.

    Args:
        num_heads: N.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.biases = nn.Embedding(BUCKETS, num_heads)
        nn.init.zeros_(self.biases.weight)

    def forward(self, distances: Tensor) -> Tensor:
        """Biases (N, T, S) of distances (T, S) int64, the position of the key minus that of the query."""
        return self.biases(_buckets(distances)).movedim(-1, 0)

    def of_last(self, number: int, total: int) -> Tensor:
        """Biases (N, number, total) of what the last of all tokens read."""
        places = torch.arange(total, device=self.biases.weight.device)
        biases: Tensor = self(places - places[total - number :, None])
        return biases


def _buckets(distances: Tensor) -> Tensor:
    """Half of the buckets for either direction; beyond ``EXACT`` they grow wider with the logarithm."""
    half = BUCKETS // 2
    size = distances.abs()
    growth = (size.clamp(min=1) / EXACT).log() / math.log(FARTHEST / EXACT)
    far = (EXACT + (growth * (half - EXACT)).long()).clamp(max=half - 1)
    return torch.where(size < EXACT, size, far) + half * (distances > 0)
