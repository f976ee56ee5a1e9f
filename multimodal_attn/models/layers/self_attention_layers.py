"""Layers of self-attention over speech or text (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.feed_forward import feed_forward
from multimodal_attn.models.layers.self_attention import RelativePositions, SelfAttention
from multimodal_attn.models.layers.sinusoids import sinusoids

Positions = Literal["sinusoidal", "rotary", "relative"]
"""Sines and cosines that are added to the input, or one of ``RelativePositions``."""


def within_layers(positions: Positions) -> RelativePositions | None:
    """What the layers themselves know of positions."""
    return None if positions == "sinusoidal" else positions


class SelfAttentionLayers(nn.Module):
    """Layers of self-attention and perceptrons, normalized before each (Xiong et al. 2020), with a last norm.

    They are ``nn.TransformerEncoder`` with ``norm_first``, whose mathematics and start they have, with positions.

    Args:
        hidden_dim: width of the layers; even where positions are sinusoidal.
        num_layers: how many.
        num_heads: of each layer; divides ``hidden_dim``.
        feedforward_factor: the inner width of a layer's perceptron, in hidden_dims.
        dropout: on the input and in the layers.
        positions: how layers know them.
        window: see ``SelfAttention``.

    Raises:
        ValueError: if the widths do not fit.
    """

    def __init__(
        self,
        hidden_dim: int,
        num_layers: int,
        num_heads: int,
        feedforward_factor: int,
        dropout: float,
        positions: Positions = "sinusoidal",
        window: int | None = None,
    ) -> None:
        super().__init__()
        self.sinusoidal = positions == "sinusoidal"
        if self.sinusoidal and hidden_dim % 2:
            raise ValueError(f"encoder.hidden_dim: {hidden_dim}; expected an even number for sinusoidal positions")
        self.layers = nn.ModuleList(
            _Layer(SelfAttention(hidden_dim, num_heads, dropout, within_layers(positions), window), feedforward_factor)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_dim)
        self.dropout = Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Reads x (B, S, hidden), without positions, where ``mask`` (B, S) is true; returns (B, S, hidden)."""
        x = self._placed(x)
        for layer in self.layers:
            x = layer(x, mask)
        normed: Tensor = self.norm(x)
        return normed

    def weights(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """The weights of every layer.

        Shapes:
            As in ``forward``. Returns (B, N, S, S) each.
        """
        x, found = self._placed(x), []
        for layer in cast(list[_Layer], self.layers):
            found.append(layer.attention.weights(x, mask[:, None, None]))
            x = layer(x, mask)
        return found

    def _placed(self, x: Tensor) -> Tensor:
        if self.sinusoidal:
            x = x + sinusoids(torch.arange(x.shape[1], device=x.device), x.shape[2])
        placed: Tensor = self.dropout(x)
        return placed


class _Layer(nn.Module):
    def __init__(self, attention: SelfAttention, feedforward_factor: int) -> None:
        super().__init__()
        self.attention = attention
        dim = attention.output.in_features
        for linear in (attention.project, attention.output):
            nn.init.zeros_(linear.bias)
        self.feed_forward = feed_forward(dim, feedforward_factor, attention.dropout.p, nn.ReLU())

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attention(x, mask[:, None, None])
        return x + self.feed_forward(x)
