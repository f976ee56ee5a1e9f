"""Convolutions that shorten speech by four, then bidirectional LSTMs (Hori et al. 2017, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.log_mel import LogMel
from multimodal_attn.models.encoders.speech import SpeechEncoder
from multimodal_attn.models.kernels.bidirectional import BidirectionalLSTM
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import Memory


class ConvLSTM(SpeechEncoder):
    """Two VGG blocks (two 3 x 3 convolutions and a 2 x 2 maximum each), then bidirectional LSTM layers.

    Args:
        front_end: makes the log-mel frames.
        channels: of the two blocks.
        hidden_dim: width of each direction; the memory is twice as wide.
        num_layers: bidirectional LSTM layers.
        dropout: before each LSTM layer and on the memory.
    """

    def __init__(
        self,
        front_end: LogMel,
        channels: tuple[Count, Count] = (32, 64),
        hidden_dim: Count = 256,
        num_layers: Layers = 2,
        dropout: DropoutRate = 0.2,
    ) -> None:
        super().__init__(front_end, 2 * hidden_dim, 4)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, width, 3, padding=1)
            for before, width in (
                (1, channels[0]),
                (channels[0], channels[0]),
                (channels[0], channels[1]),
                (channels[1], channels[1]),
            )
        )
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        bins = -(-self.front_end.num_mels // 2)
        self.reduce = nn.Linear(channels[1] * -(-bins // 2), 2 * hidden_dim)
        self.layers = nn.ModuleList(BidirectionalLSTM(2 * hidden_dim, hidden_dim) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(2 * hidden_dim) for _ in range(num_layers + 1))
        self.dropout = Dropout(dropout)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Shapes:
        waveforms: (B, L). lengths: (B,) samples. Returns states (B, S, 2 * hidden).
        """
        frames, steps = self.front_end(waveforms, lengths)
        x = frames[:, None]  # (B, 1, frames, F)
        for index, convolution in enumerate(self.convolutions):
            # Every convolution reaches over the end, so that what lies beyond must be zero before each.
            x = torch.relu(convolution(x)) * length_mask(steps, x.shape[2])[:, None, :, None]
            if index % 2:
                x = self.pool(x)
                steps = torch.div(steps + 1, 2, rounding_mode="floor")
        x = self.norms[0](self.reduce(x.transpose(1, 2).flatten(2)))
        for layer, norm in zip(self.layers, self.norms[1:], strict=True):
            x = norm(layer(self.dropout(x), steps))
        mask = length_mask(steps, x.shape[1])
        return Memory(self.dropout(x) * mask[..., None], mask, self.layout)
