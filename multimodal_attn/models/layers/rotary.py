"""Positions as rotations (Su et al. 2021, section 3.2): products of queries and keys depend on distances alone."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x: Tensor, first: int = 0) -> Tensor:
    """Turns pairs of numbers by angles that grow with the position, which counts from ``first`` on.

    Shapes:
        x: (..., S, width), for an even width. Returns the same.
    """
    half = x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    angles = (torch.arange(x.shape[-2], device=x.device) + first)[:, None] * rates
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)
