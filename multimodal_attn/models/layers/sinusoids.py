"""Positions that need no training, so that no sequence is too long."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """Sines and cosines at wavelengths from 2 pi to 10000 * 2 pi (Vaswani et al. 2017, section 3.5).

    Shapes:
        positions: (T,). Returns (T, dim), for an even dim: sines in the even columns, cosines in the odd ones.
    """
    rates = torch.exp(torch.arange(0, dim, 2, device=positions.device) * (-math.log(10_000.0) / dim))
    angles = positions[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
