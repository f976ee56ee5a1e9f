"""Convolutions that shorten speech by four, then bidirectional LSTMs (Hori et al. 2017, section 2.1)."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.base import Reach
from multimodal_attn.models.encoders.speech.base import SpeechEncoder
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.latency_controlled import LatencyControlledLSTM, lstm_layer
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import Memory

_AROUND = 6  # frames that the convolutions hear to either side: two of each block, those of the second two frames wide


class ConvLSTM(SpeechEncoder):
    """Two VGG blocks (two 3 x 3 convolutions and a 2 x 2 maximum each), then bidirectional LSTM layers.

    Args:
        front_end: makes the log-mel frames.
        channels: of the two blocks.
        hidden_dim: width of each direction; the memory is twice as wide.
        num_layers: bidirectional LSTM layers.
        dropout: before each LSTM layer and on the memory.
        chunk_steps: of the chunks that backward LSTMs go through each by itself, so that a recording can be encoded
            while it is still going on; None for the whole recording. See ``LatencyControlledLSTM``.
    """

    def __init__(
        self,
        front_end: LogMel,
        channels: tuple[Count, Count] = (32, 64),
        hidden_dim: Count = 256,
        num_layers: Layers = 2,
        dropout: DropoutRate = 0.2,
        chunk_steps: Count | None = None,
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
        self.chunk_steps = chunk_steps
        self.layers = nn.ModuleList(lstm_layer(2 * hidden_dim, hidden_dim, chunk_steps) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(2 * hidden_dim) for _ in range(num_layers + 1))
        self.dropout = Dropout(dropout)

    @property
    def reach(self) -> Reach | None:
        """See ``Encoder``: with chunks, the convolutions hear around them, and the forward LSTMs are carried along."""
        return None if self.chunk_steps is None else self.frames_reach(_AROUND, _AROUND, 4 * self.chunk_steps)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Reads waveforms (B, L) of ``lengths`` (B,) samples; states are (B, S, 2 * hidden)."""
        x, steps = self._steps(waveforms, lengths)
        for layer, norm in zip(self.layers, self.norms[1:], strict=True):
            x = norm(layer(self.dropout(x), steps))
        return self._memory(x, steps)

    def go_on(self, source: Tensor, lengths: Tensor, first: int, done: int, carried: Any) -> tuple[Memory, Any]:
        """See ``Encoder``: the forward LSTMs' states are carried."""
        x, steps = self._steps(source, lengths)
        x, steps = x[:, first:], steps - first
        states = []
        layers = zip(cast(list[LatencyControlledLSTM], self.layers), self.norms[1:], strict=True)
        for index, (layer, norm) in enumerate(layers):
            x, state = layer.go_on(self.dropout(x), steps, carried and carried[index], done)
            x = norm(x)
            states.append(state)
        return self._memory(x, steps), states

    def _steps(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the first LSTM reads, (B, S, 2 * hidden), and how many steps are real, (B,)."""
        frames, steps = self.front_end(waveforms, lengths)
        x = frames[:, None]  # (B, 1, frames, F)
        for index, convolution in enumerate(self.convolutions):
            # Every convolution reaches over the end, so that what lies beyond must be zero before each.
            x = torch.relu(convolution(x)) * length_mask(steps, x.shape[2])[:, None, :, None]
            if index % 2:
                x = self.pool(x)
                steps = torch.div(steps + 1, 2, rounding_mode="floor")
        return self.norms[0](self.reduce(x.transpose(1, 2).flatten(2))), steps

    def _memory(self, x: Tensor, steps: Tensor) -> Memory:
        mask = length_mask(steps, x.shape[1])
        return Memory(self.dropout(x) * mask[..., None], mask, self.layout)
