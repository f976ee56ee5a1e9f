"""Files of word times: a line of JSON for each recording, as ``multimodal-attn align`` writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from multimodal_attn.data.reading.tables import read_table
from multimodal_attn.types import Span, Target
from multimodal_attn.writing import write_file

EXPECTED = 'lines of {"split": "val", "key": "...", "by": "...", "words": [{"word": "...", "start": 0.1, "end": 0.3}]}'


class TimedText(NamedTuple):
    """The words of a recording with their times.

    Attributes:
        split: that the recording is in.
        key: of the recording in its data set.
        target: its text, times, and who found them.
        audio: the recording, from the folder of the file of word times; empty where it is no file.
    """

    split: str
    key: str
    target: Target
    audio: str = ""


def write_word_times(path: Path, found: Iterable[TimedText]) -> None:
    """Writes a line for each recording."""
    lines = []
    for split, key, target, audio in found:
        words = [
            {"word": word, "start": round(span.start, 3), "end": round(span.end, 3)}
            for word, span in zip(target.text.split(), target.times, strict=True)
        ]
        place = {"audio": audio} if audio else {}
        line = {"split": split, "key": key, **place, "by": target.timed_by, "words": words}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    write_file(path, "".join(lines))


def read_word_times(path: Path, option: str) -> list[TimedText]:
    """What a file has of word times.

    Args:
        path: of the file.
        option: key of the configuration that led there.

    Raises:
        ValueError: if it is missing or has a line of another kind; it names the line.
    """
    table = read_table(path, option)
    if table.bad:
        line, reason = table.bad[0]
        raise ValueError(f"{option}: '{path}:{line}' is {reason}; expected {EXPECTED}")
    return [_timed_text(record, f"{option}: '{path}:{line}'") for line, record in table.records]


def _timed_text(record: dict[str, Any], place: str) -> TimedText:
    try:
        words = [(str(word["word"]), Span(float(word["start"]), float(word["end"]))) for word in record["words"]]
        split, key, by = (str(record[name]) for name in ("split", "key", "by"))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{place} lacks a part or has another ({error}); expected {EXPECTED}") from None
    if bad := [word for word, span in words if not 0 <= span.start <= span.end < math.inf or len(word.split()) != 1]:
        raise ValueError(f"{place}: {bad[0]!r} is not a word, or ends before it starts; expected {EXPECTED}")
    text = " ".join(word for word, _ in words)
    target = Target(text, times=tuple(span for _, span in words), timed_by=by)
    return TimedText(split, key, target, str(record.get("audio") or ""))
