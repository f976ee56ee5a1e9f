"""Convolutions that shorten speech, then self-attention (Vaswani et al. 2017; for speech: Dong et al. 2018)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.speech.base import SpeechEncoder
from multimodal_attn.models.encoders.speech.conv_subsampling import ConvSubsampling
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.self_attention_layers import Positions, SelfAttentionLayers
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import Memory


class Transformer(SpeechEncoder):
    """Convolutions that shorten speech, then layers of self-attention, normalized before each part (Xiong et al. 2020).

    Args:
        front_end: makes the log-mel frames.
        hidden_dim: width of the layers and of the memory.
        num_layers: of self-attention.
        num_heads: of each layer; divides ``hidden_dim``.
        feedforward_factor: the inner width of a layer's perceptron, in hidden_dims.
        subsampling: how many frames become one step: 2, 4 or 8.
        channels: of the subsampling convolutions.
        dropout: in the layers, on the positions and on the memory.
        positions, window: of the steps, as in ``TextTransformer``.

    Raises:
        ValueError: if the widths do not fit.
    """

    def __init__(
        self,
        front_end: LogMel,
        hidden_dim: Count = 256,
        num_layers: Layers = 6,
        num_heads: Count = 4,
        feedforward_factor: Count = 4,
        subsampling: Literal[2, 4, 8] = 4,
        channels: Count = 32,
        dropout: DropoutRate = 0.1,
        positions: Positions = "sinusoidal",
        window: Count | None = None,
    ) -> None:
        super().__init__(front_end, hidden_dim, subsampling)
        self.subsample = ConvSubsampling(self.front_end.num_mels, hidden_dim, subsampling, channels)
        self.layers = SelfAttentionLayers(
            hidden_dim, num_layers, num_heads, feedforward_factor, dropout, positions, window
        )
        self.dropout = Dropout(dropout)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Reads waveforms (B, L) of ``lengths`` (B,) samples; states are (B, S, hidden)."""
        x, mask = self._steps(waveforms, lengths)
        return Memory(self.dropout(self.layers(x, mask)) * mask[..., None], mask, self.layout)

    def layer_weights(self, waveforms: Tensor, lengths: Tensor) -> list[Tensor]:
        """As in ``Encoder``, with P = S."""
        return self.layers.weights(*self._steps(waveforms, lengths))

    def _steps(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer reads, (B, S, hidden), and its mask."""
        frames, steps = self.front_end(waveforms, lengths)
        x, steps = self.subsample(frames, steps)
        return x, length_mask(steps, x.shape[1])
