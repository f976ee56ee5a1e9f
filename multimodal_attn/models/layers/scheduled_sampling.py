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


def with_own_tokens(inputs: Tensor, mask: Tensor, logits: Tensor, probability: float) -> Tensor:
    """What a decoder that reads all tokens at once reads in a second pass (Mihaylova & Martins 2019).

    Args:
        inputs: (B, K, T) tokens of the first pass.
        mask: (B, K, T), which of them predict a real token.
        logits: (B, K, T - 1, V) what the first pass gave for all but the last.
        probability: of each token but the first to be replaced.
    """
    drawn, replaced = own_tokens(logits, probability)
    return torch.cat([inputs[..., :1], torch.where(replaced & mask[..., :-1], drawn, inputs[..., 1:])], dim=-1)
