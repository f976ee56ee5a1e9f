"""Recordings to mono waveforms: soundfile decodes, torchaudio resamples, and what cannot be used says why."""

from __future__ import annotations

from os import PathLike

import numpy as np
import soundfile
import torch
import torchaudio.functional
from torch import Tensor

from multimodal_attn.types import UnreadableError

MIN_SECONDS = 0.025  # one analysis window of a log-mel front end: less than that gives no frame at all


def read_audio(
    path: str | PathLike[str], sample_rate: int, start: float = 0.0, duration: float | None = None
) -> Tensor:
    """The recording, or the part of it from ``start`` for ``duration`` seconds, as one channel.

    Args:
        path: anything libsndfile reads: wav, flac, ogg, mp3, aiff, ...
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
