"""Recordings to mono waveforms: soundfile decodes, torchaudio resamples, and what cannot be used says why."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
import torchaudio.functional
from torch import Tensor

from multimodal_attn.ranges import SampleRate
from multimodal_attn.types import UnreadableError

MIN_SECONDS = 0.025  # one analysis window of a log-mel front end: less than that gives no frame at all
SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff", "opus")
"""Of the files that are taken for recordings where a folder is named."""


def read_audio(
    path: str | PathLike[str] | BinaryIO, sample_rate: int, start: float = 0.0, duration: float | None = None
) -> Tensor:
    """The recording, or the part of it from ``start`` for ``duration`` seconds, as one channel.

    Args:
        path: anything libsndfile reads (wav, flac, ogg, mp3, aiff, ...), or its content.
        sample_rate: of the result, in Hz.
        start: seconds into the recording.
        duration: seconds, None for all that follows; what reaches past the end is cut at the end.

    Shapes:
        Returns (L,) float32, in [-1, 1] for integer formats.

    Raises:
        UnreadableError: missing, not audio, truncated, empty, shorter than 25 ms, or with NaN or infinite samples.
    """
    if start < 0 or (duration is not None and duration <= 0):
        raise ValueError(f"start={start}, duration={duration}: expected start >= 0 and duration > 0 seconds")
    try:
        with soundfile.SoundFile(path) as file:
            rate, begin = file.samplerate, round(start * file.samplerate)
            available = file.frames - begin
            wanted = available if duration is None else min(available, round(duration * rate))
            if wanted < 1:
                raise UnreadableError(str(path), f"no audio from {start:g} s on: it has {file.frames} samples")
            file.seek(begin)
            samples = file.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as error:  # TypeError: soundfile, of a suffix ".raw"
        raise UnreadableError(str(path), f"not readable as audio ({_first_line(error)})") from error
    # A transcript of the whole on half of the recording would teach nonsense.
    if len(samples) < 0.98 * wanted:
        raise UnreadableError(str(path), f"truncated: {len(samples)} of {wanted} samples could be decoded")
    if len(samples) < MIN_SECONDS * rate:
        raise UnreadableError(str(path), f"{len(samples) / rate:.4f} s of audio: at least {MIN_SECONDS} s are needed")
    # numpy on purpose: torch would wake its threads for so little, which on a busy machine takes longer than decoding.
    waveform = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    if not np.isfinite(waveform).all():
        raise UnreadableError(str(path), "has samples that are NaN or infinite")
    return torchaudio.functional.resample(torch.from_numpy(waveform), rate, sample_rate)


def audio_seconds(path: str | PathLike[str]) -> float:
    """Length of a recording by its header.

    Raises:
        UnreadableError: missing, not audio, empty or shorter than 25 ms.
    """
    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise UnreadableError(str(path), f"not readable as audio ({_first_line(error)})") from error
    seconds = info.frames / info.samplerate
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
