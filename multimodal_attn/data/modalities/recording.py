"""Recordings: files of any kind to waveforms of one channel and one sample rate."""

from __future__ import annotations

from typing import BinaryIO

from torch import Tensor

from multimodal_attn.data.modalities.base import Reader, pad_in_time
from multimodal_attn.data.reading.audio import SUFFIXES, audio_seconds, read_audio
from multimodal_attn.ranges import SampleRate


class RecordingReader(Reader):
    """Reads recordings, (L,) float32.

    Args:
        sample_rate: to resample to, in Hz.
    """

    modality = "recording"
    phrase = "a recording"
    suffixes = SUFFIXES
    columns = ("audio", "text")
    normalization = "transcript"
    unit = "seconds"
    at_once = 1  # a batch would take the memory of its longest for each
    pad = staticmethod(pad_in_time)

    def __init__(self, sample_rate: SampleRate = 16_000) -> None:
        self.sample_rate = sample_rate

    def read(self, place: str | BinaryIO) -> Tensor:
        return read_audio(place, self.sample_rate)

    def length(self, place: str) -> float:
        return audio_seconds(place)
