"""Masks over positions, made from lengths; softmax and means that stay finite over padding; rows of the K axis."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """True at the first ``lengths[b]`` of ``size`` positions.

    Shapes:
        lengths: (B,) int. Returns (B, size) bool.
    """
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis that is exactly 0 where ``mask`` is False, and all 0 on a row without real positions.

    Shapes:
        scores: (..., S). mask: broadcastable to it. Returns (..., S).
    """
    # The finite minimum, not -inf: a row without real positions would turn into NaN, in the gradient too.
    weights = torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)
    return weights.masked_fill(~mask, 0.0)


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over real positions; 0 where none is real.

    Shapes:
        states: (B, S, D). mask: (B, S). Returns (B, 1, D).
    """
    real = mask[..., None].to(states.dtype)
    return (states * real).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1)


def select_rows(tensor: Tensor, index: Tensor) -> Tensor:
    """Row ``index[b, k]`` of source b, for each b and k: row k becomes what that row was.

    Shapes:
        tensor: (B, K, ...). index: (B, K') int64. Returns (B, K', ...).
    """
    return tensor[torch.arange(len(index), device=index.device)[:, None], index]
