"""What every attention with several heads does: its weights, and what they take of the values."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import masked_softmax
from multimodal_attn.models.kernels import in_use

PLAIN_PAIRS = 256**2
"""Pairs of a query and a key in a head, up to which plain products are faster than the fused form on a CPU."""


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Takes x (..., S, N * head) to (..., N, S, head)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(-3, -2)


def join_heads(x: Tensor) -> Tensor:
    """Takes x (..., N, S, head) to (..., S, N * head)."""
    return x.transpose(-3, -2).flatten(-2)


def head_weights(query: Tensor, key: Tensor, mask: Tensor, bias: Tensor | None = None) -> Tensor:
    """The weights of scaled dot products (Vaswani et al. 2017, equation 1).

    Shapes:
        query: (..., N, T, head). key: (..., N, S, head). mask and bias: broadcastable to (..., N, T, S), which is what
        it returns.
    """
    query = query * query.shape[-1] ** -0.5
    scores = (query * key).sum(-1)[..., None, :] if _alone(query) else query @ key.transpose(-2, -1)
    return masked_softmax(scores if bias is None else scores + bias, mask)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    bias: Tensor | None = None,
    dropout: nn.Dropout | None = None,
) -> Tensor:
    """What queries take of the values, by ``head_weights`` or by torch's fused attention, which does not hold them.

    On a CPU the fused form makes its products for one head after the other, and short texts wait for that. With dropout
    it holds the weights as well.

    Args:
        query, key, mask, bias: of ``head_weights``; every query has a key to read.
        dropout: of the weights.

    Shapes:
        value: (B, N, S, head). Returns (B, N, T, head).
    """
    if not torch.compiler.is_exporting():
        few = query.device.type == "cpu" and query.shape[-2] * key.shape[-2] <= PLAIN_PAIRS
        if few or not in_use():
            weights = head_weights(query, key, mask, bias)
            weights = weights if dropout is None else dropout(weights)
            return (weights.transpose(-2, -1) * value).sum(-2, keepdim=True) if _alone(query) else weights @ value
    seen = mask if bias is None else bias.masked_fill(~mask, -torch.inf).to(query.dtype)
    share = dropout.p if dropout is not None and dropout.training else 0.0
    return functional.scaled_dot_product_attention(query, key, value, seen, share)


def _alone(query: Tensor) -> bool:
    """Whether there is one query, as in a step of a search: then sums are quicker than products of thin matrices."""
    if torch.compiler.is_exporting() or not in_use():
        return False
    return query.device.type == "cpu" and query.shape[-2] == 1
