"""Long recordings to overlapping segments, cut where they are quietest; read by the block."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from multimodal_attn.types import Span, UnreadableError

FRAME_SECONDS = 0.01
SILENCE_DECIBELS = -60.0
"""Below this level, relative to full scale, nothing is said."""
_SMOOTHING_SECONDS = 0.3  # a pause is longer than the closure of a plosive


def levels(path: str | Path) -> np.ndarray:
    """Level of every 10 ms of a recording in decibels relative to full scale, from blocks of ten seconds.

    Shapes:
        Returns (frames,) float32.

    Raises:
        UnreadableError: if it cannot be decoded.
    """
    found = []
    try:
        with soundfile.SoundFile(path) as file:
            # Edges are rounded one by one, so that frames do not drift at 11025 Hz.
            number = int(file.frames / file.samplerate / FRAME_SECONDS)
            edges = np.round(np.arange(number + 1) * FRAME_SECONDS * file.samplerate).astype(np.int64)
            for first in range(0, number, 1000):
                inside = edges[first : first + 1001] - edges[first]
                samples = file.read(int(inside[-1]), dtype="float32", always_2d=True).mean(axis=1)
                if len(samples) < inside[-1]:
                    raise UnreadableError(str(path), f"truncated: ends after {file.tell() / file.samplerate:.1f} s")
                power = np.add.reduceat(np.square(samples), inside[:-1]) / np.diff(inside)
                found.append(10 * np.log10(power + 1e-10))
    except (soundfile.SoundFileError, OSError, TypeError) as error:  # TypeError: soundfile, of a suffix ".raw"
        raise UnreadableError(str(path), f"not readable as audio ({error})") from error
    if not found:
        raise UnreadableError(str(path), "holds no audio")
    return np.concatenate(found).astype(np.float32)


def cuts(level: np.ndarray, max_seconds: float) -> list[float]:
    """Times at which to cut, so that no part is longer than ``max_seconds``: each the quietest place that it can be.

    Args:
        level: of every 10 ms, as ``levels`` gives it.
        max_seconds: between two cuts; at least a third of it passes.

    Shapes:
        level: (frames,).
    """
    width = round(_SMOOTHING_SECONDS / FRAME_SECONDS)
    padded = np.pad(level, (width // 2, width - 1 - width // 2), mode="edge")
    smooth = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    longest, found, position = round(max_seconds / FRAME_SECONDS), [], 0
    while len(level) - position > longest:
        first = position + longest // 3
        position = first + int(smooth[first : position + longest].argmin())
        found.append(position * FRAME_SECONDS)
    return found


def segments(level: np.ndarray, cut_at: list[float], overlap_seconds: float) -> list[Span]:
    """The parts between cuts, each reaching over them by half of the overlap.

    Shapes:
        level: (frames,).
    """
    edges = [0.0, *cut_at, len(level) * FRAME_SECONDS]
    half = overlap_seconds / 2
    return [Span(max(edges[0], start - half), min(edges[-1], end + half)) for start, end in pairwise(edges)]


def is_silent(level: np.ndarray, span: Span) -> bool:
    """Whether no frame of a part is above ``SILENCE_DECIBELS``."""
    part = level[round(span.start / FRAME_SECONDS) : round(span.end / FRAME_SECONDS)]
    return not bool((part > SILENCE_DECIBELS).any())
