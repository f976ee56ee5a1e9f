"""A linear recurrence over positions, all of them at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from multimodal_attn.models.kernels import in_use


def recurrence(decay: Tensor, x: Tensor) -> Tensor:
    """``y_j = decay_j y_{j-1} + x_j`` over the last axis, from ``y_{-1} = 0``.

    Shapes:
        decay, x: (..., S). Returns the same.
    """
    y: Tensor = _Recurrence.apply(decay, x) if in_use() else plain_recurrence(decay, x)
    return y


def plain_recurrence(decay: Tensor, x: Tensor) -> Tensor:
    """The definition, one position after another."""
    found = [x[..., 0]]
    for d, new in zip(decay[..., 1:].unbind(-1), x[..., 1:].unbind(-1), strict=True):
        found.append(d * found[-1] + new)
    return torch.stack(found, -1)


class _Recurrence(torch.autograd.Function):
    """In log2(S) parallel rounds; backward is the same reversed."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, x: Tensor) -> Tensor:
        y = _scan(decay, x)
        ctx.save_for_backward(decay, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        decay, y = ctx.saved_tensors
        next_decay = functional.pad(decay[..., 1:], (0, 1))
        d_x = _scan(next_decay.flip(-1), grad.flip(-1)).flip(-1)
        return d_x * functional.pad(y[..., :-1], (1, 0)), d_x


def _scan(decay: Tensor, x: Tensor) -> Tensor:
    """The recurrence by doubling: each round lets y_j hold twice as many of the last inputs (Hillis & Steele 1986)."""
    y, reach = x, 1
    while reach < x.shape[-1]:
        # New tensors, not in place: both sides overlap.
        y = torch.cat([y[..., :reach], torch.addcmul(y[..., reach:], decay[..., reach:], y[..., :-reach])], dim=-1)
        decay = torch.cat([decay[..., :reach], decay[..., reach:] * decay[..., :-reach]], dim=-1)
        reach *= 2
    return y
