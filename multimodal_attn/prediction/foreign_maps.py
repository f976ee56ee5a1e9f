"""Predictions from maps and word times that were made outside of this package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from multimodal_attn.data.reading.audio import read_audio
from multimodal_attn.data.reading.images import read_image
from multimodal_attn.data.reading.samples import LONGEST_SECONDS
from multimodal_attn.data.reading.tables import read_table
from multimodal_attn.data.reading.text import read_text
from multimodal_attn.prediction.prediction import GIVEN, Prediction, true_times
from multimodal_attn.prediction.recordings.transcript import TimedWord
from multimodal_attn.prediction.times.boundaries import attention_times
from multimodal_attn.prediction.true_boxes import things, true_boxes
from multimodal_attn.types import Box, Grid, Span, Target, Timeline, UnreadableError

EXPECTED = (
    '{"key": "1", "image": "1.jpg", "text": "a dog", "boxes": {"1": [[0.1, 0.2, 0.6, 0.9]]}} or'
    ' {"key": "u", "audio": "u.wav", "text": "go on", "times": [[0.1, 0.3], [0.3, 0.5]], "step_seconds": 0.02}'
)
_SAMPLE_RATE = 16_000
_SHORTEST_STEP, _LONGEST_STEP = 1e-3, 60.0  # seconds
_SLACK_STEPS, _SLACK = 4, 0.1  # maps may be longer or shorter than their recording by so many steps, or this share
_TIMES_STEP = 0.02  # of the maps that are drawn where only times are given: a word's is even over its time


class Truth(NamedTuple):
    """A line of a truth file.

    Attributes:
        key: of the source.
        target: the true text with its boxes or times.
        written: the words that the maps belong to.
        file: of the picture or recording; None where it is not at hand.
        step_seconds: between two cells of a recording's map; None for pictures and where only times are given.
    """

    key: str
    target: Target
    written: list[str]
    file: Path | None
    step_seconds: float | None


def read_truth(path: Path) -> tuple[list[Truth], list[UnreadableError]]:
    """What a truth file has, and the lines that cannot be used.

    Raises:
        ValueError: if it cannot be read, or has no usable line.
    """
    table = read_table(path, "truth")
    found, bad = [], [UnreadableError(f"{path}:{line}", reason) for line, reason in table.bad]
    known: set[str] = set()
    for line, record in table.records:
        try:
            truth = _truth(record, path.parent)
            if truth.key in known:
                raise ValueError(f"the key {truth.key!r} has a line before")
            known.add(truth.key)
            found.append(truth)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else error
            bad.append(UnreadableError(f"{path}:{line}", f"{reason}; expected {EXPECTED}"))
    if not found:
        raise ValueError(f"truth: '{path}' has no usable line; expected {EXPECTED}")
    return found, bad


def read_ctm(path: Path) -> dict[str, dict[str, list[TimedWord]]]:
    """The words of each channel of each recording in a CTM file: lines of recording, channel, start, duration and word.

    Raises:
        ValueError: names a line that is none.
    """
    found: dict[str, dict[str, list[TimedWord]]] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        try:
            name, channel, start, duration, word, *_ = line.split()
            begin, length = float(start), float(duration)
            _check_time(begin, begin + length)
        except ValueError as error:
            raise ValueError(
                f"'{path}:{number}': expected recording, channel, start, duration and word ({error})"
            ) from None
        found.setdefault(name, {}).setdefault(channel, []).append(TimedWord(word, begin, begin + length))
    return found


def from_maps(truth: Truth, maps: np.ndarray) -> Prediction:
    """A prediction whose words have these maps.

    Shapes:
        maps: (W, rows, columns) of a picture, (W, S) of a recording: one for each of the written words.

    Raises:
        UnreadableError: if the maps are none, or the picture or recording cannot be read.
    """
    if maps.dtype.kind not in "fiu" or maps.ndim not in (2, 3) or len(maps) != len(truth.written) or not maps.size:
        shape = f"{tuple(maps.shape)} of {maps.dtype}"
        expected = (
            f"a map of numbers for each of the {len(truth.written)} words: (words, rows, columns) or (words, steps)"
        )
        raise UnreadableError(truth.key, f"has maps of the shape {shape}; expected {expected}")
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    if not np.isfinite(flat).all() or flat.min() < 0 or flat.sum(axis=1).min() <= 0:
        raise UnreadableError(truth.key, "has a map without weight, or with some that is negative or no number")
    flat /= flat.sum(axis=1, keepdims=True)
    if maps.ndim == 3:
        return _prediction(truth, truth.written, flat, Grid(*maps.shape[1:]), _picture(truth))
    if truth.step_seconds is None:
        raise UnreadableError(truth.key, "has maps over time, and the truth no step_seconds")
    if (seconds := truth.step_seconds * flat.shape[1]) > LONGEST_SECONDS:
        raise UnreadableError(truth.key, f"has maps over {seconds:g} s; expected at most {LONGEST_SECONDS:g} s")
    timeline = Timeline(truth.step_seconds)
    waveform = _waveform(truth)
    whole = seconds if waveform is None else len(waveform) / _SAMPLE_RATE
    if abs(seconds - whole) > max(_SLACK_STEPS * truth.step_seconds, _SLACK * whole):
        reason = f"has maps over {seconds:.2f} s, but a recording of {whole:.2f} s: is step_seconds right?"
        raise UnreadableError(truth.key, reason)
    tokens = [(word, word + 1) for word in range(len(flat))]
    spans = attention_times(flat, timeline, tokens, waveform, _SAMPLE_RATE)
    return _prediction(truth, truth.written, flat, timeline, _or_silence(waveform, seconds), spans)


def from_times(truth: Truth, channels: Mapping[str, list[TimedWord]]) -> Prediction:
    """A prediction whose words have these times; the map of a word is even over its time.

    Args:
        truth: of the recording.
        channels: the words of each.

    Raises:
        UnreadableError: if there are several channels, whose words are of several speakers, or the recording cannot be
            read.
    """
    if len(channels) != 1:
        raise UnreadableError(truth.key, f"has words on the channels {', '.join(channels)}; expected those of one")
    words = sorted(next(iter(channels.values())), key=lambda word: word.start)
    spans = [Span(word.start, max(word.start, word.end)) for word in words]
    waveform = _waveform(truth)
    ends = max(*(span.end for span in (*spans, *truth.target.times)), 0.0)
    if ends > LONGEST_SECONDS:
        raise UnreadableError(truth.key, f"has words at {ends:g} s; expected at most {LONGEST_SECONDS:g} s")
    source = _or_silence(waveform, ends)
    steps = max(1, int(np.ceil(len(source) / _SAMPLE_RATE / _TIMES_STEP)))
    centers = (np.arange(steps) + 0.5) * _TIMES_STEP
    maps = np.zeros((len(spans), steps))
    for word, (start, end) in enumerate(spans):
        inside = (centers >= start) & (centers < end)
        inside[min(steps - 1, int((start + end) / 2 / _TIMES_STEP))] = True  # a word shorter than a step
        maps[word, inside] = 1 / inside.sum()
    return _prediction(truth, [word.text for word in words], maps, Timeline(_TIMES_STEP), source, spans, GIVEN)


def _truth(record: dict[str, Any], folder: Path) -> Truth:
    if "words" in record:  # as multimodal-attn align writes them
        words = record["words"]
        text = " ".join(str(word["word"]) for word in words)
        record = {**record, "text": text, "times": [(word["start"], word["end"]) for word in words]}
    text = " ".join(str(record["text"]).split())
    words = text.split()
    boxes = {
        int(word): tuple(Box(*map(float, box)) for box in found) for word, found in record.get("boxes", {}).items()
    }
    times = tuple(Span(float(start), float(end)) for start, end in record.get("times", ()))
    if any(not 0 <= word < len(words) for word in boxes) or (times and len(times) != len(words)):
        raise ValueError(f"boxes or times are not of the {len(words)} words of its text")
    if any(
        not (0 <= box.left < box.right <= 1 and 0 <= box.top < box.bottom <= 1) for b in boxes.values() for box in b
    ):
        raise ValueError("a box is no [left, top, right, bottom] in fractions of the picture")
    for start, end in times:
        _check_time(start, end)
    file, step = record.get("image") or record.get("audio"), record.get("step_seconds")
    return Truth(
        str(record["key"]),
        Target(text, boxes=boxes, times=times, timed_by=str(record.get("by", ""))),
        str(record.get("written", text)).split(),
        None if file is None else folder / str(file),
        None if step is None else _step_seconds(float(step)),
    )


def _check_time(start: float, end: float) -> None:
    if not 0 <= start <= end < math.inf:
        raise ValueError(f"a word from {start:g} to {end:g} s; expected its end after its start, and both from 0 on")


def _step_seconds(seconds: float) -> float:
    if not _SHORTEST_STEP <= seconds <= _LONGEST_STEP:
        raise ValueError(f"step_seconds of {seconds:g}; expected {_SHORTEST_STEP:g} to {_LONGEST_STEP:g}")
    return seconds


def _picture(truth: Truth) -> np.ndarray:
    """(height, width, 3); gray where the picture is not at hand."""
    if truth.file is None:
        return np.full((224, 224, 3), 128, dtype=np.uint8)
    return np.ascontiguousarray(read_image(truth.file, None).numpy().transpose(1, 2, 0))


def _waveform(truth: Truth) -> np.ndarray | None:
    return None if truth.file is None else read_audio(truth.file, _SAMPLE_RATE).numpy()


def _or_silence(waveform: np.ndarray | None, seconds: float) -> np.ndarray:
    return np.zeros(max(1, round(seconds * _SAMPLE_RATE)), dtype=np.float32) if waveform is None else waveform


def _prediction(
    truth: Truth,
    words: list[str],
    maps: np.ndarray,
    layout: Grid | Timeline,
    source: np.ndarray,
    spans: list[Span] | None = None,
    time_source: str = "attention",
) -> Prediction:
    target = truth.target
    return Prediction(
        key=truth.key,
        source=source,
        layout=layout,
        tokens=words,
        word_tokens=[(word, index, index + 1) for index, word in enumerate(words)],
        weights=maps[:, None].astype(np.float32),
        text=" ".join(words),
        references=[target.text],
        score=math.nan,  # nobody searched
        flags=[],
        boxes=true_boxes(words, [target]),
        things=things([target]),
        times=true_times(words, (target,)),
        timed_by=target.timed_by,
        true_words=list(zip(target.text.split(), target.times, strict=False)),
        sample_rate=_SAMPLE_RATE,
        log_probs=[0.0] * len(words),
        word_spans=tuple(spans or ()),
        time_source=time_source,
    )
