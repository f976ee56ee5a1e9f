"""Convolutions that shorten speech, then self-attention (Vaswani et al. 2017; for speech: Dong et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.encoders.conv_subsampling import ConvSubsampling
from multimodal_attn.models.encoders.log_mel import LogMel
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.self_attention import SelfAttentionLayers
from multimodal_attn.models.layers.sinusoids import sinusoids
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
        self.front_end = front_end if isinstance(front_end, LogMel) else front_end()
        self.subsample = ConvSubsampling(self.front_end.num_mels, hidden_dim, subsampling, channels)
        self.layers = SelfAttentionLayers(hidden_dim, num_layers, num_heads, feedforward_factor, dropout)
        self.dropout = Dropout(dropout)
        self.dim = hidden_dim
        self.layout = Timeline(subsampling * self.front_end.hop_seconds)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Shapes:
        waveforms: (B, L). lengths: (B,) samples. Returns states (B, S, hidden).
        """
        x, mask = self._steps(waveforms, lengths)
        return Memory(self.dropout(self.layers(x, mask)) * mask[..., None], mask, self.layout)

    def layer_weights(self, waveforms: Tensor, lengths: Tensor) -> list[Tensor]:
        """Shapes:
        As in ``Encoder``, with P = S.
        """
        return self.layers.weights(*self._steps(waveforms, lengths))

    def _steps(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer reads, (B, S, hidden), and its mask."""
        frames, steps = self.front_end(waveforms, lengths)
        x, steps = self.subsample(frames, steps)
        positions = torch.arange(x.shape[1], device=x.device)
        return self.dropout(x + sinusoids(positions, self.dim)), length_mask(steps, x.shape[1])
