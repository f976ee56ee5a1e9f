"""The perceptron of a layer (Vaswani et al. 2017, section 3.3), normalized first."""

from __future__ import annotations

from torch import nn

from multimodal_attn.models.kernels.dropout import Dropout


def feed_forward(dim: int, factor: int, dropout: float, activation: nn.Module) -> nn.Sequential:
    """From width ``dim`` to ``factor`` times that and back."""
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, factor * dim),
        activation,
        Dropout(dropout),
        nn.Linear(factor * dim, dim),
        Dropout(dropout),
    )
