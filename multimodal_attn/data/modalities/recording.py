"""Recordings: files of any kind to waveforms of one channel and one sample rate."""

from __future__ import annotations

from typing import BinaryIO

from torch import Tensor

from multimodal_attn.data.modalities.base import Reader, pad_in_time
from multimodal_attn.data.reading.audio import SUFFIXES, audio_seconds, read_audio
from multimodal_attn.data.reading.samples import LONGEST_SECONDS
from multimodal_attn.ranges import Positive, SampleRate
from multimodal_attn.types import UnreadableError

_OFF_SECONDS, _OFF = 0.5, 0.05  # how far a recording may be from the length that is told of it, or which part of that


class RecordingReader(Reader):
    """Reads recordings, (L,) float32.

    Args:
        sample_rate: to resample to, in Hz.
        longest_seconds: of a recording; longer ones are not read.
    """

    modality = "recording"
    phrase = "a recording"
    suffixes = SUFFIXES
    columns = ("audio", "text")
    normalization = "transcript"
    unit = "seconds"
    at_once = 1  # a batch would take the memory of its longest for each
    pad = staticmethod(pad_in_time)

    def __init__(self, sample_rate: SampleRate = 16_000, longest_seconds: Positive = LONGEST_SECONDS) -> None:
        self.sample_rate, self.longest_seconds = sample_rate, longest_seconds

    def read(self, place: str | BinaryIO) -> Tensor:
        return read_audio(place, self.sample_rate, longest_seconds=self.longest_seconds)

    def length(self, place: str) -> float:
        return audio_seconds(place)

    def fingerprint(self, path: str) -> str:
        return f"{super().fingerprint(path)}:{self.sample_rate}"

    def check_length(self, source: Tensor | str, told: float, name: str) -> None:
        seconds = len(source) / self.sample_rate
        if abs(seconds - told) > max(_OFF_SECONDS, _OFF * told):
            raise UnreadableError(name, f"lasts {seconds:.2f} s, though its header or a list says {told:.2f} s")
