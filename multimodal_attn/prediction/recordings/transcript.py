"""Words with their times, and the files that other programs read them from."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import NamedTuple

_LINE_WORDS, _LINE_GAP_SECONDS = 12, 0.7  # a line of text ends after so many words, or at such a pause
_SHORTEST_LINE_SECONDS = 0.1


class TimedWord(NamedTuple):
    """A word with its time in seconds from the start of the recording.

    ``confidence`` is the probability that it is right; None for a run without a temperature.
    """

    text: str
    start: float
    end: float
    confidence: float | None = None

    def as_dict(self) -> dict[str, str | float]:
        """What json files have of it."""
        found: dict[str, str | float] = {
            "word": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
        }
        return found if self.confidence is None else {**found, "confidence": round(self.confidence, 4)}


class Transcript(NamedTuple):
    """The words of a recording, and how many seconds it lasts."""

    words: list[TimedWord]
    seconds: float


def lines(words: list[TimedWord]) -> Iterator[list[TimedWord]]:
    """Words in lines that can be read at a glance: at most twelve words, and no pause within."""
    line = words[:1]
    for before, word in pairwise(words):
        if len(line) >= _LINE_WORDS or word.start - before.end > _LINE_GAP_SECONDS:
            yield line
            line = []
        line.append(word)
    if line:
        yield line


def render(transcript: Transcript, path: str | Path, kind: str, name: str | None = None) -> str:
    """A transcript in one of ``FORMATS``.

    ``txt`` has lines of start, end and words, separated by tabs; ``json`` a line with every word's times; ``srt`` and
    ``vtt`` are subtitles; ``ctm`` has a line "recording 1 start duration word" for every word (NIST's sclite), with its
    confidence behind it where that is known; and ``textgrid`` is an interval tier for Praat, which knows no overlap:
    there a word begins when the one before ends.

    Args:
        transcript: of one recording.
        path: of the recording.
        kind: of the format.
        name: that tells the recording from all others, for ctm; None for that of its file.

    Raises:
        ValueError: for another format.
    """
    if kind not in _RENDERERS:
        raise ValueError(f"format: {kind!r}; expected one of {', '.join(FORMATS)}")
    return _RENDERERS[kind](transcript, str(path), Path(path).stem if name is None else name)


def _txt(transcript: Transcript, path: str, name: str) -> str:
    return "".join(f"{_clock(start)}\t{_clock(end)}\t{text}\n" for start, end, text in _rows(transcript))


def _json(transcript: Transcript, path: str, name: str) -> str:
    content = {
        "file": path,
        "text": " ".join(word.text for word in transcript.words),
        "words": [word.as_dict() for word in transcript.words],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def _srt(transcript: Transcript, path: str, name: str) -> str:
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text.replace('-->', '->')}\n\n"
        for number, (start, end, text) in enumerate(_rows(transcript), start=1)
    )


def _vtt(transcript: Transcript, path: str, name: str) -> str:
    cues = (
        f"\n{_clock(start)} --> {_clock(end)}\n{html.escape(text, quote=False)}\n"
        for start, end, text in _rows(transcript)
    )
    return "WEBVTT\n" + "".join(cues)


def _ctm(transcript: Transcript, path: str, name: str) -> str:
    name = "_".join(name.split()) or "_"  # white space separates the fields
    rows = []
    for word, start, end, confidence in transcript.words:
        sure = "" if confidence is None else f" {confidence:.4f}"
        rows.append(f"{name} 1 {start:.3f} {max(0.0, end - start):.3f} {word}{sure}\n")
    return "".join(rows)


def _textgrid(transcript: Transcript, path: str, name: str) -> str:
    """In Praat's long text format. Intervals follow each other without a gap, and none is empty of time."""
    intervals: list[tuple[int, int, str]] = []  # in milliseconds, so that ends and starts are the same number
    now = 0
    for word in transcript.words:
        start = max(now, round(1000 * word.start))
        if start > now:
            intervals.append((now, start, ""))
        now = max(start + 1, round(1000 * word.end))
        intervals.append((start, now, word.text))
    whole = max(now, round(1000 * transcript.seconds), 1)
    if whole > now:
        intervals.append((now, whole, ""))
    rows = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {whole / 1000}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "words"',
        "        xmin = 0",
        f"        xmax = {whole / 1000}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, (start, end, text) in enumerate(intervals, start=1):
        quoted = text.replace('"', '""')
        rows += [
            f"        intervals [{number}]:",
            f"            xmin = {start / 1000}",
            f"            xmax = {end / 1000}",
            f'            text = "{quoted}"',
        ]
    return "\n".join(rows) + "\n"


_RENDERERS: dict[str, Callable[[Transcript, str, str], str]] = {
    "txt": _txt,
    "json": _json,
    "srt": _srt,
    "vtt": _vtt,
    "ctm": _ctm,
    "textgrid": _textgrid,
}
FORMATS = tuple(_RENDERERS)
ONE_RECORDING = ("srt", "vtt", "textgrid")
"""Formats that cannot hold more than one recording."""
ENDINGS = {kind: "TextGrid" if kind == "textgrid" else kind for kind in FORMATS}
"""Of the files: Praat writes its own with capitals."""


def _rows(transcript: Transcript) -> list[tuple[float, float, str]]:
    """Start, end and text of each line; each is there long enough to be seen, and ends before the next one begins."""
    found, rows, now = list(lines(transcript.words)), [], 0.0
    for line, after in zip_longest(found, found[1:]):
        start = max(now, line[0].start)
        now = max(start + _SHORTEST_LINE_SECONDS, *(word.end for word in line))
        if after and start + _SHORTEST_LINE_SECONDS <= after[0].start < now:
            now = after[0].start
        rows.append((start, now, " ".join(word.text for word in line)))
    return rows


def _clock(seconds: float, point: str = ".") -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
