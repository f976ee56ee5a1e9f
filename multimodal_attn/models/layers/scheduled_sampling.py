"""Scheduled sampling (Bengio et al. 2015): some of what a decoder reads in training, it has written itself."""

from __future__ import annotations

import torch
from torch import Tensor


def own_tokens(logits: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Tokens drawn from the model's own distribution, and where they replace the given ones.

    Shapes:
        logits: (..., V). Returns (...) int64 and (...) bool.
    """
    drawn = torch.distributions.Categorical(logits=logits.float()).sample()
    return drawn, torch.rand(drawn.shape, device=drawn.device) < probability
