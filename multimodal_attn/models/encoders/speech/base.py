"""What every encoder of recordings shares: frames of sound, and steps of so many of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from multimodal_attn.models.encoders.base import Encoder, Reach
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.types import Timeline


class SpeechEncoder(Encoder):
    """Reads (B, L) waveforms; ``lengths`` (B,) counts the samples of each.

    Args:
        front_end: makes the log-mel frames.
        dim: width D of the memory.
        frames_per_step: how many frames become one memory position.
    """

    reads = "recording"
    layout: Timeline

    def __init__(self, front_end: LogMel, dim: int, frames_per_step: int) -> None:
        super().__init__()
        self.front_end = front_end
        self.dim = dim
        self.layout = Timeline(frames_per_step * front_end.hop_seconds)

    def frames_reach(self, past: int, future: int, cell: int) -> Reach | None:
        """The reach of positions that hear so many frames around a cell of so many."""
        if not self.front_end.frame_by_frame:
            return None
        hop = self.front_end.hop
        around = max(0, -((hop - self.front_end.num_fft) // 2))  # a window is longer than what its frame stands for
        step = hop * round(self.layout.step_seconds / self.front_end.hop_seconds)
        return Reach(past * hop + around, future * hop + around, cell * hop, step)

    @contextmanager
    def longest(self) -> Iterator[None]:
        """See ``Encoder``."""
        with self.front_end.slowest():
            yield
