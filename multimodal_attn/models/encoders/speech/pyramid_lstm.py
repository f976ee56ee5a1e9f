"""Listen: the pyramidal bidirectional LSTM (Chan et al. 2016, section 3.1, equation 5)."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.base import Reach
from multimodal_attn.models.encoders.speech.base import SpeechEncoder
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.latency_controlled import LatencyControlledLSTM, lstm_layer
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
        chunk_steps: as of ``ConvLSTM``, in steps of the memory.
    """

    def __init__(
        self,
        front_end: LogMel,
        hidden_dim: Count,
        reductions: Counts,
        layer_norm: bool = True,
        dropout: DropoutRate = 0.2,
        chunk_steps: Count | None = None,
    ) -> None:
        super().__init__(front_end, 2 * hidden_dim, math.prod(reductions))
        self.reductions = tuple(reductions)
        self.chunk_steps = chunk_steps
        # How many steps of each layer become one of the memory.
        self.below = [math.prod(self.reductions[index + 1 :]) for index in range(len(self.reductions))]
        widths = [self.front_end.num_mels] + [2 * hidden_dim] * (len(self.reductions) - 1)
        self.layers = nn.ModuleList(
            lstm_layer(width * factor, hidden_dim, None if chunk_steps is None else chunk_steps * below)
            for width, factor, below in zip(widths, self.reductions, self.below, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(2 * hidden_dim) if layer_norm else nn.Identity() for _ in self.reductions
        )
        self.dropout = Dropout(dropout)

    @property
    def reach(self) -> Reach | None:
        """See ``Encoder``: with chunks, the forward LSTMs are carried along."""
        return None if self.chunk_steps is None else self.frames_reach(0, 0, self.chunk_steps * self._frames_per_step)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Reads waveforms (B, L) of ``lengths`` (B,) samples; states are (B, S, 2 * hidden)."""
        x, steps = self.front_end(waveforms, lengths)
        for index, layer in enumerate(self.layers):
            x, steps = self._joined(x, steps, self.reductions[index])
            x = self._normed(index, layer(self.dropout(x), steps), steps)
        return Memory(self.dropout(x), length_mask(steps, x.shape[1]), self.layout)

    def go_on(self, source: Tensor, lengths: Tensor, first: int, done: int, carried: Any) -> tuple[Memory, Any]:
        """See ``Encoder``: the forward LSTMs' states are carried."""
        x, steps = self.front_end(source, lengths)
        x, steps = x[:, first * self._frames_per_step :], steps - first * self._frames_per_step
        states = []
        for index, layer in enumerate(cast(list[LatencyControlledLSTM], self.layers)):
            x, steps = self._joined(x, steps, self.reductions[index])
            state = carried and carried[index]
            x, state = layer.go_on(self.dropout(x), steps, state, done * self.below[index])
            x = self._normed(index, x, steps)
            states.append(state)
        return Memory(self.dropout(x), length_mask(steps, x.shape[1]), self.layout), states

    @property
    def _frames_per_step(self) -> int:
        return math.prod(self.reductions)

    @staticmethod
    def _joined(x: Tensor, steps: Tensor, factor: int) -> tuple[Tensor, Tensor]:
        """So many steps as one."""
        x = functional.pad(x, (0, 0, 0, -x.shape[1] % factor)).unflatten(1, (-1, factor)).flatten(2)
        return x, torch.div(steps + factor - 1, factor, rounding_mode="floor")

    def _normed(self, index: int, x: Tensor, steps: Tensor) -> Tensor:
        # Zero what lies beyond the end: the layer above joins the last real step with it.
        normed: Tensor = self.norms[index](x) * length_mask(steps, x.shape[1])[..., None]
        return normed
