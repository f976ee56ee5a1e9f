"""Where words begin and end in the sound: attention says between what, the level of the recording says where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from multimodal_attn.data.reading.segmentation import FRAME_SECONDS, waveform_levels
from multimodal_attn.prediction.times.onset_times import monotonic_path, onset_times
from multimodal_attn.types import Span, Timeline

DIP = 0.25
"""How far up from its lowest point a dip reaches, as a share of the way (in dB) to the quieter of its two words."""
SHORTEST_PAUSE = 0.11
"""Seconds from which a dip is a pause; a shorter one is the closure of a plosive, or no silence at all."""
DECIBELS_A_SECOND = 100.0
"""By how much a place must be quieter than another to be taken for the lowest, if it is further from the path's."""
_SMOOTHING_FRAMES = 3
_NEAR_FRAMES = 5  # around the middles of a word's tokens, where it is loud


class _Dip(NamedTuple):
    """The quiet frames between two words."""

    start: float
    lowest: float
    end: float


def attention_times(
    weights: np.ndarray,
    timeline: Timeline,
    word_spans: list[tuple[int, int]],
    waveform: np.ndarray | None,
    sample_rate: int,
) -> list[Span]:
    """When attention hears each word: bounded in the sound where it is at hand, else by the path.

    Shapes:
        weights: (T, S). waveform: (L,).
    """
    if waveform is None:
        return onset_times(weights, timeline, word_spans)
    return word_boundaries(weights, timeline, word_spans, waveform_levels(waveform, sample_rate))


def word_boundaries(
    weights: np.ndarray, timeline: Timeline, word_spans: list[tuple[int, int]], levels: np.ndarray
) -> list[Span]:
    """When each word is heard: from the end of the dip before it to the beginning of the dip after it.

    Attention knows in which order words come and about where each of its tokens is heard: the mean of its weights
    within its part of the monotonic path (``monotonic_path``). It does not know where a word ends, since its weights
    reach into pauses. So the level of the sound is asked, between the last token of a word and the first one of the
    next. Its lowest point there (less ``DECIBELS_A_SECOND`` of distance from where the path lets the next word begin),
    with all frames around it that rise by less than ``DIP`` of the way up to the quieter word, is the dip between both.
    A word ends where a dip begins. The next one begins where the dip ends, if the dip lasts ``SHORTEST_PAUSE`` and is a
    pause; else halfway between its beginning and its lowest point, as the closure of a plosive belongs to the word that
    it opens. Before the first word and after the last, the median level stands for the lowest point: the word goes from
    its tokens to the first frame that is as quiet. Where a pause of ``SHORTEST_PAUSE`` lies between its tokens, it only
    goes to that: once a word has been said, attention has nowhere to look, and its outermost token is heard anywhere.

    Args:
        weights: of the tokens.
        timeline: where the steps lie.
        word_spans: first token and one past the last token of each word.
        levels: in decibels, of every 10 ms of the recording (``waveform_levels``).

    Shapes:
        weights: (T, S). levels: (frames,).
    """
    if not word_spans or not len(levels):
        return [Span(0.0, 0.0) for _ in word_spans]
    level = np.convolve(np.pad(levels, _SMOOTHING_FRAMES // 2, "edge"), np.full(_SMOOTHING_FRAMES, 1 / 3), "valid")
    middles = timeline.offset_seconds + timeline.step_seconds * _middles(np.nan_to_num(weights).astype(np.float64))
    frames = np.clip(np.rint(middles / FRAME_SECONDS), 0, len(level)).astype(np.int64)
    words = [(int(frames[first]), int(frames[stop - 1])) for first, stop in word_spans]
    loud = [
        float(level[max(0, first - _NEAR_FRAMES) : last + _NEAR_FRAMES].max(initial=level.min()))
        for first, last in words
    ]
    by_path = [span.start / FRAME_SECONDS for span in onset_times(weights, timeline, word_spans)]
    inner = [
        _dip(level, words[number - 1][1], words[number][0], min(loud[number - 1], loud[number]), by_path[number])
        for number in range(1, len(words))
    ]
    first, stop = words[0]
    start = stop - _extent(level[:stop][::-1], stop - first, loud[0])
    first, stop = words[-1]
    end = first + _extent(level[first:], stop - first, loud[-1])
    starts = [float(start), *(_beginning(dip) for dip in inner)]
    ends = [*(dip.start for dip in inner), float(end)]
    return [
        Span(start * FRAME_SECONDS, max(start, end) * FRAME_SECONDS) for start, end in zip(starts, ends, strict=True)
    ]


def _middles(weights: np.ndarray) -> np.ndarray:
    """Where each token is heard, in steps: the mean of its weights on its part of the monotonic path.

    Shapes:
        weights: (T, S). Returns (T,), none before the one before it.
    """
    starts, ends = monotonic_path(weights)
    middles = (starts + ends) / 2
    for token, (start, end) in enumerate(zip(starts, ends, strict=True)):
        part = np.arange(int(start), max(int(np.ceil(end)), int(start) + 1))
        if (mass := weights[token, part].sum()) > 0:
            middles[token] = np.clip((weights[token, part] * (part + 0.5)).sum() / mass, start, end)
    return np.maximum.accumulate(middles)


def _dip(level: np.ndarray, before: int, after: int, loud: float, by_path: float) -> _Dip:
    """The dip between two frames, in frames; halfway between them where they are too close for one."""
    if after - before < 2:
        return _Dip(*[(before + after) / 2] * 3)
    part = level[before:after]
    far = np.abs(np.arange(before, after) + 0.5 - by_path) * FRAME_SECONDS
    lowest = int((part + DECIBELS_A_SECOND * far).argmin())
    rise = np.flatnonzero(part > part[lowest] + DIP * max(0.0, loud - float(part[lowest])))
    start = int(rise[rise < lowest].max(initial=-1)) + 1
    end = int(rise[rise > lowest].min(initial=len(part)))
    return _Dip(before + start, before + lowest + 0.5, before + end)


def _beginning(dip: _Dip) -> float:
    """Where the word after a dip begins, in frames."""
    paused = (dip.end - dip.start) * FRAME_SECONDS >= SHORTEST_PAUSE - 1e-9
    return dip.end if paused else (dip.start + dip.lowest) / 2


def _extent(level: np.ndarray, token: int, loud: float) -> int:
    """How many frames a word takes from its innermost token outwards.

    Args:
        level: from the innermost token outwards, to where the recording ends.
        token: frame of the outermost token.
        loud: level of the word.
    """
    if token >= len(level):
        return len(level)
    floor = float(np.median(level[token:]))
    quiet = level <= floor + DIP * max(0.0, loud - floor)
    shortest = round(SHORTEST_PAUSE / FRAME_SECONDS)
    quiet_beyond = np.append(quiet, np.ones(shortest, bool))  # outside of the recording it is quiet
    pauses = np.convolve(quiet_beyond, np.ones(shortest, np.int64), "valid") == shortest
    loud_from = int(quiet.argmin())
    before_token = np.flatnonzero(pauses[loud_from : token + 1])
    return loud_from + int(before_token[0]) if len(before_token) else token + int(quiet_beyond[token:].argmax())
