"""Picks entries that come at most once, at the price of a copy in either direction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from multimodal_attn.models.kernels import in_use


def pick(values: Tensor, *index: Tensor) -> Tensor:
    """``values[index]``, where no entry is taken twice: torch expects that of every index, and its backward adds up."""
    picked: Tensor = _Pick.apply(values, *index) if in_use() else values[index]
    return picked


def real_steps(values: Tensor, mask: Tensor, sources: Tensor | None = None) -> Tensor:
    """``values[mask]``: the steps of padded texts that predict a real token.

    Args:
        values: of every step.
        mask: which steps to take, in their order.
        sources: where in ``values`` each source of ``mask`` stands; None where they stand in the same order.

    Shapes:
        values: (B, K, T, ...). mask: (B, K, T), R True. sources: (B,). Returns (R, ...).
    """
    source, *rest = mask.nonzero(as_tuple=True)
    return pick(values, source if sources is None else sources[source], *rest)


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, *index: Tensor) -> Tensor:
        ctx.save_for_backward(*index)
        ctx.shape, ctx.strides = values.shape, values.stride()
        return values[index]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # Laid out as the values are, for those who made them.
        whole = grad.new_empty_strided(ctx.shape, ctx.strides).zero_()
        whole[ctx.saved_tensors] = grad
        return (whole, *[None] * len(ctx.saved_tensors))
