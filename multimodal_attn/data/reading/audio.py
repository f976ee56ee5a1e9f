"""Recordings to mono waveforms: libsndfile decodes, torchaudio resamples, and what cannot be used says why."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torchaudio.functional
from torch import Tensor

from multimodal_attn.data.reading.audio_file import AudioFile
from multimodal_attn.ranges import SampleRate
from multimodal_attn.types import UnreadableError

MIN_SECONDS = 0.025  # one analysis window of a log-mel front end: less than that gives no frame at all
LONGEST_SECONDS = 3600.0
"""Of a recording that is read as a whole: 230 MB at 16 kHz. What is read in parts may be of any length."""
SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff", "opus")
"""Of the files that are taken for recordings where a folder is named."""
_LOUDEST = 16.0  # 24 dB above full scale: beyond that, samples are no floats of audio but, say, 16-bit integers
_LARGEST_KERNEL = 1 << 20  # numbers in a resampling kernel; from 44.1 to 16 kHz it has 76,000


def read_audio(
    path: str | PathLike[str] | BinaryIO,
    sample_rate: int,
    start: float = 0.0,
    duration: float | None = None,
    longest_seconds: float = LONGEST_SECONDS,
) -> Tensor:
    """The recording, or the part of it from ``start`` for ``duration`` seconds, as one channel.

    It is decoded block by block to its end, whatever its header says of its length.

    Args:
        path: anything libsndfile reads (wav, flac, ogg, mp3, aiff, ...), or its content.
        sample_rate: of the result, in Hz.
        start: seconds into the recording.
        duration: seconds, None for all that follows; what reaches past the end is cut at the end.
        longest_seconds: of the result.

    Shapes:
        Returns (L,) float32, in [-1, 1] but for what decoders of lossy formats and files of floats have beyond.

    Raises:
        UnreadableError: missing, not audio, cut off, empty, longer than ``longest_seconds``, of a strange sample rate,
            or not fit for ``waveform_of``.
    """
    if start < 0 or (duration is not None and duration <= 0):
        raise ValueError(f"start={start}, duration={duration}: expected start >= 0 and duration > 0 seconds")
    with AudioFile(path) as file:
        rate, begin = file.sample_rate, round(start * file.sample_rate)
        longest = round(longest_seconds * rate)
        wanted = longest + 1 if duration is None else min(longest + 1, round(duration * rate))
        blocks = list(file.blocks(wanted)) if begin == 0 or file.skip(begin) else []
        if not blocks:
            raise UnreadableError(file.name, f"no audio from {start:g} s on: it has {file.position} samples")
    samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    if len(samples) > longest:
        raise UnreadableError(file.name, f"longer than {longest_seconds:g} s, the most that is read in one piece")
    if file.integers:
        _check_long_enough(samples, rate, file.name)
        return resample(torch.from_numpy(samples), rate, sample_rate)
    return waveform_of(samples, rate, sample_rate, file.name)


def waveform_of(samples: np.ndarray, rate: int, sample_rate: int, name: str) -> Tensor:
    """Samples of one channel at another rate. Those somewhat beyond 1 stay: clipping would bend them.

    Args:
        samples: decoded and mixed.
        rate: of the samples, in Hz.
        sample_rate: of the result, in Hz.
        name: of the recording, for errors.

    Shapes:
        samples: (L,). Returns (L',) float32.

    Raises:
        UnreadableError: shorter than 25 ms, or with samples that are not finite or so large that they are not of audio.
    """
    _check_long_enough(samples, rate, name)
    # numpy on purpose: torch would wake its threads for so little, which on a busy machine takes longer than decoding.
    peak = max(float(samples.max()), -float(samples.min()))
    if not math.isfinite(peak):
        raise UnreadableError(name, "has samples that are NaN or infinite")
    if peak > _LOUDEST:
        beyond = int((np.abs(samples) > 1).sum())
        reason = f"{beyond} of {len(samples)} samples lie beyond 1, up to {peak:g}; expected floats in [-1, 1]"
        raise UnreadableError(name, reason)
    return resample(torch.from_numpy(samples), rate, sample_rate)


def _check_long_enough(samples: np.ndarray, rate: int, name: str) -> None:
    if len(samples) < MIN_SECONDS * rate:
        raise UnreadableError(name, f"{len(samples) / rate:.4f} s of audio: at least {MIN_SECONDS} s are needed")


def resample(waveform: Tensor, rate: int, sample_rate: int) -> Tensor:
    """A waveform at another rate.

    The filter has a row for each sample until those of both rates coincide again. Rates such as 44,101 and 16,000 Hz
    make that gigabytes; then the nearest ratio of small numbers is taken, which is right to a hundred thousandth.

    Shapes:
        waveform: (L,). Returns (L',).
    """
    if rate == sample_rate:
        return waveform
    ratio, largest = Fraction(rate, sample_rate), 2048
    while ratio.numerator * ratio.denominator > _LARGEST_KERNEL:
        ratio, largest = Fraction(rate, sample_rate).limit_denominator(largest), largest // 2
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
