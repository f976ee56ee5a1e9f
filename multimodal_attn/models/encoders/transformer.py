"""Convolutions that shorten speech, then self-attention (Vaswani et al. 2017; for speech: Dong et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from multimodal_attn.masking import length_mask
from multimodal_attn.models.dropout import Dropout
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.encoders.conv_subsampling import ConvSubsampling
from multimodal_attn.models.encoders.log_mel import LogMel
from multimodal_attn.types import Memory, Timeline


class Transformer(Encoder):
    """torch's encoder layers, normalised before each part (Xiong et al. 2020), over steps with sinusoidal positions.

    Args:
        front_end: makes the log-mel frames.
        hidden_dim: width of the layers and of the memory; even.
        num_layers: of self-attention.
        num_heads: of each layer; divides ``hidden_dim``.
        feedforward_factor: the inner width of a layer's perceptron, in hidden_dims.
        subsampling: how many frames become one step: 2, 4 or 8.
        channels: of the subsampling convolutions.
        dropout: in the layers, on the positions and on the memory.

    Raises:
        ValueError: if the widths do not fit, or for another subsampling.
    """

    def __init__(
        self,
        front_end: Callable[[], LogMel] | LogMel,
        hidden_dim: int = 256,
        num_layers: int = 6,
        num_heads: int = 4,
        feedforward_factor: int = 4,
        subsampling: int = 4,
        channels: int = 32,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if hidden_dim % num_heads or hidden_dim % 2:
            raise ValueError(
                f"encoder.hidden_dim: {hidden_dim}; expected an even multiple of encoder.num_heads={num_heads}"
            )
        self.front_end = front_end if isinstance(front_end, LogMel) else front_end()
        self.subsample = ConvSubsampling(self.front_end.num_mels, hidden_dim, subsampling, channels)
        layer = nn.TransformerEncoderLayer(
            hidden_dim, num_heads, feedforward_factor * hidden_dim, dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, num_layers, nn.LayerNorm(hidden_dim), enable_nested_tensor=False)
        for parameter in self.layers.parameters():
            # Copies of one layer start out equal: each gets its own draw.
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        self.dropout = Dropout(dropout)
        self.dim = hidden_dim
        self.layout = Timeline(subsampling * self.front_end.hop_seconds)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Shapes:
        waveforms: (B, L). lengths: (B,) samples. Returns states (B, S, hidden).
        """
        x, mask = self._steps(waveforms, lengths)
        x = self.layers(x, src_key_padding_mask=~mask)
        return Memory(self.dropout(x) * mask[..., None], mask, self.layout)

    def layer_weights(self, waveforms: Tensor, lengths: Tensor) -> list[Tensor]:
        """Shapes:
        As in ``Encoder``, with P = S.
        """
        x, mask = self._steps(waveforms, lengths)
        found = []
        for layer in cast(list[nn.TransformerEncoderLayer], self.layers.layers):
            normed = layer.norm1(x)
            found.append(layer.self_attn(normed, normed, normed, key_padding_mask=~mask)[1])
            x = layer(x, src_key_padding_mask=~mask)
        return found

    def _steps(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer reads, (B, S, hidden), and its mask."""
        frames, steps = self.front_end(waveforms, lengths)
        x, steps = self.subsample(frames, steps)
        return self.dropout(x + sinusoids(x.shape[1], self.dim, x.device)), length_mask(steps, x.shape[1])


def sinusoids(length: int, dim: int, device: torch.device) -> Tensor:
    """Positions as sines and cosines of wavelengths from 2 pi to 10000 * 2 pi (Vaswani et al. 2017, section 3.5).

    Shapes:
        Returns (length, dim): sines in the even columns, cosines in the odd ones.
    """
    rates = torch.exp(torch.arange(0, dim, 2, device=device) * (-math.log(10_000.0) / dim))
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
