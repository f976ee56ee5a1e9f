"""Where something is said: from where it is worth reading, and what was left out, as attention models stop early."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multimodal_attn.data.reading.segmentation import FRAME_SECONDS, SILENCE_DECIBELS
from multimodal_attn.prediction.recordings.transcript import TimedWord
from multimodal_attn.prediction.times.boundaries import DIP, SHORTEST_PAUSE

_FLOOR = 0.1  # of the frames are no louder than a pause
_LOUD_SECONDS = 0.1  # a click is shorter
_LEAD_SECONDS = 0.1  # of what lies before the first sound: a word may begin softly
_GATED = -80.0  # decibels, of pauses without any noise, as behind a noise gate: they may well have less
_OVER_NOISE = 10.0  # decibels, of speech over the noise of a room, where no words are known


def loudness(word: TimedWord, level: np.ndarray) -> float:
    """Of the loudest 10 ms of a word, in decibels.

    Shapes:
        level: (frames,), as ``levels`` gives it.
    """
    return float(level[frame(word.start) : frame(word.end) + 1].max(initial=level.min(initial=SILENCE_DECIBELS)))


def lead(level: np.ndarray) -> float:
    """Seconds of a pause at the beginning that need not be read.

    Recordings of a training begin with a word or nearly so. Attention that moves by one position per token, such as
    ``forward_attention``, falls behind in a longer pause and never catches up.

    Shapes:
        level: (frames,), of a part of a recording.
    """
    if not len(level):
        return 0.0
    quiet, loud = np.quantile(level, [_FLOOR / 2, 0.99])
    sound = level >= max(SILENCE_DECIBELS, quiet + DIP * (loud - quiet))
    first = int(sound.argmax()) if sound.any() else len(level)
    return max(0.0, first * FRAME_SECONDS - _LEAD_SECONDS)


def unread_since(words: list[TimedWord], level: np.ndarray) -> float | None:
    """The pause after the last word, in seconds, if something is said after it; None if not, or without any word.

    Shapes:
        level: (frames,), of the part of a recording from which the times of words are counted.
    """
    if not words:
        return None
    end = until_quiet(words, level)[-1].end
    return end if is_unread(level, end, [loudness(word, level) for word in words]) else None


def until_quiet(words: list[TimedWord], level: np.ndarray) -> list[TimedWord]:
    """The same words, the last of which goes on until the sound pauses: what follows may belong to it.

    Shapes:
        level: (frames,), of the part of a recording from which the times of words are counted.
    """
    if not words:
        return words
    *before, last = words
    loud, floor = loudness(last, level), float(np.quantile(level, _FLOOR))
    quiet = level[frame(last.end) :] < floor + DIP * max(0.0, loud - floor)
    shortest = round(SHORTEST_PAUSE / FRAME_SECONDS)
    paused = np.convolve(quiet, np.ones(shortest), "valid") > shortest - 0.5 if len(quiet) >= shortest else quiet[:0]
    first = frame(last.end) + int(paused.argmax()) if paused.any() else len(level)
    return [*before, last._replace(end=max(last.end, first * FRAME_SECONDS))]


def is_spoken(level: np.ndarray, since: float, loudness: Sequence[float]) -> bool:
    """Whether something is said after a moment: sound that is nearer to words in loudness than to the pauses.

    Args:
        level: of the part of a recording around it, in decibels.
        since: the moment, in seconds.
        loudness: of words that were heard before; of none, what stands out from the pauses is taken for words.

    Shapes:
        level: (frames,).
    """
    sound = level[frame(since) :]
    if not len(sound):
        return False
    floor = float(np.quantile(level, _FLOOR))
    halfway = (float(np.median(loudness)) + max(_GATED, floor)) / 2 if len(loudness) else floor + _OVER_NOISE
    return int((sound > max(SILENCE_DECIBELS, halfway)).sum()) * FRAME_SECONDS >= _LOUD_SECONDS


def is_unread(level: np.ndarray, end: float, loudness: Sequence[float]) -> bool:
    """Whether something is said after the last word; arguments as of ``is_spoken``.

    A word that ends before the first sound moves nothing on: read from there, the same would come again for ever.
    """
    return end > _LEAD_SECONDS and is_spoken(level, end, loudness)


def frame(seconds: float) -> int:
    """The 10 ms in which a moment lies."""
    return max(0, round(seconds / FRAME_SECONDS))
