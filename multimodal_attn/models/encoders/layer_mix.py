"""A learned mix of a network's layers (Yang et al. 2021, "SUPERB", section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerMix(nn.Module):
    """The weighted sum of layers, with a softmax over their weights.

    Args:
        num_layers: L.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(num_layers))

    @property
    def weights(self) -> Tensor:
        """(L,), summing to 1."""
        return self.scores.softmax(0)

    def forward(self, layers: Tensor) -> Tensor:
        """Mixes layers (..., L * width), which stand one after another, into (..., width)."""
        return (layers.unflatten(-1, (len(self.scores), -1)) * self.weights[:, None]).sum(-2)
