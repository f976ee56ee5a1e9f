"""Long recordings to overlapping segments, cut where they are quietest; read by the block."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multimodal_attn.data.reading.audio_file import AudioFile
from multimodal_attn.types import Span, UnreadableError

FRAME_SECONDS = 0.01
SILENCE_DECIBELS = -60.0
"""Below this level, relative to full scale, nothing is said."""
_PAUSE_SECONDS, _AROUND_SECONDS = 0.1, 3.0
_QUIET_SHARE = 0.25  # of the way from quiet to loud, in decibels
_SMOOTHING_SECONDS = 0.3  # a pause is longer than the closure of a plosive


def levels(path: str | Path) -> np.ndarray:
    """Level of every 10 ms of a recording in decibels relative to full scale, from blocks of ten seconds.

    Shapes:
        Returns (frames,) float32.

    Raises:
        UnreadableError: if it cannot be decoded.
    """
    found = []
    with AudioFile(path) as file:
        done, more = 0, True
        while more:
            # Edges are rounded one by one, so that frames do not drift at 11025 Hz.
            edges = np.round(np.arange(done, done + 1001) * FRAME_SECONDS * file.sample_rate).astype(np.int64)
            inside = edges - edges[0]
            blocks = list(file.blocks(int(inside[-1])))
            samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
            more = len(samples) == inside[-1]
            if not np.isfinite(samples).all():
                raise UnreadableError(file.name, "has samples that are NaN or infinite")
            whole = int(np.searchsorted(inside, len(samples), side="right")) - 1
            if whole > 0:
                found.append(_decibels(samples[: inside[whole]], inside[: whole + 1]))
                done += whole
    if not found:
        raise UnreadableError(str(path), "holds no audio")
    return np.concatenate(found)


def waveform_levels(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Level of every 10 ms of a waveform, as ``levels`` gives it of a file; what is left at the end is a frame too.

    Shapes:
        waveform: (L,). Returns (frames,) float32.
    """
    frames = int(np.ceil(len(waveform) / sample_rate / FRAME_SECONDS - 1e-6))
    edges = np.round(np.arange(frames + 1) * FRAME_SECONDS * sample_rate).astype(np.int64)
    edges[-1] = len(waveform)
    return _decibels(waveform, edges) if frames else np.zeros(0, np.float32)


def _decibels(samples: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Level of each frame around its own mean: a constant, as of a bad sound card, is not heard."""
    samples, lengths = samples - samples.mean(), np.diff(edges)
    power = np.add.reduceat(np.square(samples), edges[:-1]) / lengths
    mean = np.add.reduceat(samples, edges[:-1]) / lengths
    return (10 * np.log10(np.maximum(power - np.square(mean), 0) + 1e-10)).astype(np.float32)


def segments(level: np.ndarray, max_seconds: float, overlap_seconds: float) -> list[Span]:
    """The parts of a recording, each cut where it is quietest; two that do not meet in a pause overlap.

    A part that begins or ends with a piece of a word is strange to a model that was trained on whole ones, and all of
    it may be read wrongly. Where nothing is broken, no overlap is needed, and the part may be as much longer.

    Args:
        level: of every 10 ms, as ``levels`` gives it.
        max_seconds: of a part; a third of it passes between two cuts at least.
        overlap_seconds: half of it lies on either side of a cut.

    Shapes:
        level: (frames,).
    """
    longest, over = round(max_seconds / FRAME_SECONDS), round(overlap_seconds / FRAME_SECONDS / 2)
    found: list[Span] = []
    start = cut = 0
    while len(level) - start > longest:
        first, last = cut + longest // 3, start + longest
        cut, reach = _quietest(level, first, last), 0
        if not _in_pause(level, cut):
            cut = _quietest(level, first, max(first + 1, last - over))
            reach = 0 if _in_pause(level, cut) else over
        found.append(Span(start * FRAME_SECONDS, (cut + reach) * FRAME_SECONDS))
        start = cut - reach
    return [*found, Span(start * FRAME_SECONDS, len(level) * FRAME_SECONDS)]


def _quietest(level: np.ndarray, first: int, last: int) -> int:
    """The frame between two, the latter not included, around which it is quietest."""
    width = round(_SMOOTHING_SECONDS / FRAME_SECONDS)
    left = first - width // 2
    frames = np.clip(np.arange(left, last - 1 + width - width // 2), 0, len(level) - 1)
    return first + int(np.convolve(level[frames], np.full(width, 1 / width), mode="valid").argmin())


def _in_pause(level: np.ndarray, cut: int) -> bool:
    """Whether all around a frame is near the quietest of some seconds there, and not near the loudest."""
    near, far = (round(seconds / FRAME_SECONDS) for seconds in (_PAUSE_SECONDS / 2, _AROUND_SECONDS))
    quiet, loud = np.quantile(level[max(0, cut - far) : cut + far], [0.05, 0.9])
    return bool((level[max(0, cut - near) : cut + near] < quiet + _QUIET_SHARE * (loud - quiet)).all())


def is_silent(level: np.ndarray, span: Span) -> bool:
    """Whether no frame of a part is above ``SILENCE_DECIBELS``."""
    part = level[round(span.start / FRAME_SECONDS) : round(span.end / FRAME_SECONDS)]
    return not bool((part > SILENCE_DECIBELS).any())
