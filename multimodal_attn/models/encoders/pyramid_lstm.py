"""Listen: the pyramidal bidirectional LSTM (Chan et al. 2016, section 3.1, equation 5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.log_mel import LogMel
from multimodal_attn.models.encoders.speech import SpeechEncoder
from multimodal_attn.models.kernels.bidirectional import BidirectionalLSTM
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import Count, Counts, DropoutRate
from multimodal_attn.types import Memory


class PyramidLSTM(SpeechEncoder):
    """Bidirectional LSTM layers, each reading several steps of the one below as one.

    Args:
        front_end: makes the log-mel frames.
        hidden_dim: width of each direction; the memory is twice as wide.
        reductions: how many steps each layer reads as one, from the bottom; ``[2, 2, 2]`` makes a step of 8 frames.
        layer_norm: after each layer; the paper has none.
        dropout: before each layer and on the memory.
    """

    def __init__(
        self,
        front_end: LogMel,
        hidden_dim: Count,
        reductions: Counts,
        layer_norm: bool = True,
        dropout: DropoutRate = 0.2,
    ) -> None:
        super().__init__(front_end, 2 * hidden_dim, math.prod(reductions))
        self.reductions = tuple(reductions)
        widths = [self.front_end.num_mels] + [2 * hidden_dim] * (len(self.reductions) - 1)
        self.layers = nn.ModuleList(
            BidirectionalLSTM(width * factor, hidden_dim) for width, factor in zip(widths, self.reductions, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(2 * hidden_dim) if layer_norm else nn.Identity() for _ in self.reductions
        )
        self.dropout = Dropout(dropout)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Shapes:
        waveforms: (B, L). lengths: (B,) samples. Returns states (B, S, 2 * hidden).
        """
        x, steps = self.front_end(waveforms, lengths)
        for layer, norm, factor in zip(self.layers, self.norms, self.reductions, strict=True):
            x = functional.pad(x, (0, 0, 0, -x.shape[1] % factor)).unflatten(1, (-1, factor)).flatten(2)
            steps = torch.div(steps + factor - 1, factor, rounding_mode="floor")
            x = norm(layer(self.dropout(x), steps))
            # Zero what lies beyond the end: the layer above joins the last real step with it.
            x = x * length_mask(steps, x.shape[1])[..., None]
        return Memory(self.dropout(x), length_mask(steps, x.shape[1]), self.layout)
