"""The samples of a recording: decoded by libsndfile, mixed to one channel, and judged."""

from __future__ import annotations

import math
from fractions import Fraction
from os import PathLike
from typing import BinaryIO

import numpy as np

from multimodal_attn.data.reading.audio_file import AudioFile
from multimodal_attn.types import UnreadableError

MIN_SECONDS = 0.025  # one analysis window of a log-mel front end: less than that gives no frame at all
LONGEST_SECONDS = 3600.0
"""Of a recording that is read as a whole: 230 MB at 16 kHz. What is read in parts may be of any length."""
_LOUDEST = 16.0  # 24 dB above full scale: beyond that, samples are no floats of audio but, say, 16-bit integers
_LARGEST_KERNEL = 1 << 20  # numbers in a resampling kernel; from 44.1 to 16 kHz it has 76,000


def read_samples(
    path: str | PathLike[str] | BinaryIO,
    start: float = 0.0,
    duration: float | None = None,
    longest_seconds: float = LONGEST_SECONDS,
) -> tuple[np.ndarray, int]:
    """The samples of one channel from ``start`` for ``duration`` seconds, and their rate in Hz.

    It is decoded block by block to its end, whatever its header says of its length.

    Args:
        path: anything libsndfile reads (wav, flac, ogg, mp3, aiff, ...), or its content.
        start: seconds into the recording.
        duration: seconds, None for all that follows; what reaches past the end is cut at the end.
        longest_seconds: of the result.

    Shapes:
        Returns (L,) float32, in [-1, 1] but for what decoders of lossy formats and files of floats have beyond.

    Raises:
        UnreadableError: missing, not audio, cut off, empty, longer than ``longest_seconds``, of a strange sample rate,
            or refused by ``check_samples``.
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
        check_long_enough(samples, rate, file.name)
    else:
        check_samples(samples, rate, file.name)
    return samples, rate


def check_samples(samples: np.ndarray, rate: int, name: str) -> None:
    """Refuses samples (L,) of the recording ``name``.

    Raises:
        UnreadableError: shorter than 25 ms, or with samples that are not finite or so large that they are not of audio.
    """
    check_long_enough(samples, rate, name)
    peak = max(float(samples.max()), -float(samples.min()))
    if not math.isfinite(peak):
        raise UnreadableError(name, "has samples that are NaN or infinite")
    if peak > _LOUDEST:
        beyond = int((np.abs(samples) > 1).sum())
        reason = f"{beyond} of {len(samples)} samples lie beyond 1, up to {peak:g}; expected floats in [-1, 1]"
        raise UnreadableError(name, reason)


def check_long_enough(samples: np.ndarray, rate: int, name: str) -> None:
    """Raises an UnreadableError for less than 25 ms."""
    if len(samples) < MIN_SECONDS * rate:
        raise UnreadableError(name, f"{len(samples) / rate:.4f} s of audio: at least {MIN_SECONDS} s are needed")


def resampling_ratio(rate: int, sample_rate: int) -> Fraction:
    """How many samples of one rate become how many of another.

    The filter has a row for each sample until those of both rates coincide again. Rates such as 44,101 and 16,000 Hz
    make that gigabytes; then the nearest ratio of small numbers is taken, which is right to a hundred thousandth.
    """
    ratio, largest = Fraction(rate, sample_rate), 2048
    while ratio.numerator * ratio.denominator > _LARGEST_KERNEL:
        ratio, largest = Fraction(rate, sample_rate).limit_denominator(largest), largest // 2
    return ratio
