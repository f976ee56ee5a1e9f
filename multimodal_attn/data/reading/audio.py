"""Recordings to mono waveforms: libsndfile decodes, torchaudio resamples, and what cannot be used says why."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import torch
import torchaudio.functional
from torch import Tensor

from multimodal_attn.data.reading.audio_file import AudioFile
from multimodal_attn.data.reading.samples import LONGEST_SECONDS, MIN_SECONDS, read_samples, resampling_ratio
from multimodal_attn.ranges import SampleRate
from multimodal_attn.types import UnreadableError

SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff", "opus")
"""Of the files that are taken for recordings where a folder is named."""


def read_audio(
    path: str | PathLike[str] | BinaryIO,
    sample_rate: int,
    start: float = 0.0,
    duration: float | None = None,
    longest_seconds: float = LONGEST_SECONDS,
) -> Tensor:
    """The recording, or the part of it from ``start`` for ``duration`` seconds, as one channel.

    Args:
        sample_rate: of the result, in Hz.
        path, start, duration, longest_seconds: as of ``read_samples``, with its errors.

    Shapes:
        Returns (L,) float32, in [-1, 1] but for what decoders of lossy formats and files of floats have beyond.
    """
    samples, rate = read_samples(path, start, duration, longest_seconds)
    return resample(torch.from_numpy(samples), rate, sample_rate)


def resample(waveform: Tensor, rate: int, sample_rate: int) -> Tensor:
    """A waveform at another rate; see ``resampling_ratio``.

    Shapes:
        waveform: (L,). Returns (L',).
    """
    if rate == sample_rate:
        return waveform
    ratio = resampling_ratio(rate, sample_rate)
    return torchaudio.functional.resample(waveform, ratio.numerator, ratio.denominator)


def audio_seconds(path: str | PathLike[str]) -> float:
    """Length of a recording: by its header where the file bears that out, counted where the header says nothing.

    Raises:
        UnreadableError: missing, not audio, cut off, empty, shorter than 25 ms, or of a strange sample rate.
    """
    with AudioFile(path) as file:
        frames = file.frames if file.frames is not None else sum(map(len, file.blocks()))
    seconds = frames / file.sample_rate
    if seconds < MIN_SECONDS:
        raise UnreadableError(str(path), f"{seconds:.4f} s of audio: at least {MIN_SECONDS} s are needed")
    return seconds


class AudioFolder:
    """The recordings below a folder, such as noise or impulse responses, to draw excerpts from.

    The folder is first looked into when it is needed, so that a trained run works where it does not exist. Files that
    cannot be read are left out with a warning.

    Args:
        folder: read with all that lies below it; None for no recordings.
        sample_rate: of the excerpts, in Hz.
    """

    def __init__(self, folder: str | PathLike[str] | None, sample_rate: SampleRate) -> None:
        self.folder, self.sample_rate = folder, sample_rate
        self._files: list[tuple[str, float]] | None = None  # path and seconds

    def files(self) -> list[tuple[str, float]]:
        """Path and seconds of every recording.

        Raises:
            ValueError: if the folder is missing or holds no recording.
        """
        if self._files is None:
            self._files = self._find() if self.folder is not None else []
        return self._files

    def _find(self) -> list[tuple[str, float]]:
        found, bad = [], []
        for path in sorted(Path(str(self.folder)).expanduser().rglob("*")):
            if path.suffix.lower().lstrip(".") in SUFFIXES:
                try:
                    found.append((str(path), audio_seconds(path)))
                except UnreadableError as error:
                    bad.append(error)
        if bad:
            warnings.warn(f"{len(bad)} recordings are left out: {'; '.join(map(str, bad))}", stacklevel=2)
        if not found:
            raise ValueError(f"folder: '{self.folder}' holds no readable recording; expected {', '.join(SUFFIXES)}")
        return found

    def __len__(self) -> int:
        return len(self.files())

    def excerpt(self, index: int, position: float, samples: int) -> Tensor:
        """At most so many samples of a recording; silence, with a warning, where it cannot be decoded.

        Args:
            index: of the recording.
            position: 0 begins at its beginning, 1 ends at its end.
            samples: how many; all there are, if it is shorter.
        """
        path, seconds = self.files()[index]
        wanted = samples / self.sample_rate
        try:
            return read_audio(path, self.sample_rate, position * max(0.0, seconds - wanted), wanted)[:samples]
        except UnreadableError as error:
            warnings.warn(str(error), stacklevel=2)
            return torch.zeros(samples)
