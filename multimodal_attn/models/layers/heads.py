"""What every attention with several heads does around the product of queries and keys."""

from __future__ import annotations

from torch import Tensor

from multimodal_attn.masking import masked_softmax


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
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    return masked_softmax(scores if bias is None else scores + bias, mask)
