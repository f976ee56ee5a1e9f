"""Mozilla Common Voice: sentences read by volunteers (Ardila et al. 2020), one language as it is downloaded."""

from __future__ import annotations

import math
from pathlib import Path

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.recordings import TranscribedRecordings, Utterance, written
from multimodal_attn.data.reading.text import listed_lines
from multimodal_attn.ranges import SampleRate
from multimodal_attn.types import UnreadableError

LAYOUT = "train.tsv, dev.tsv, test.tsv (with the columns path and sentence) and clips/*.mp3 in a language's folder"
DURATIONS = "clip_durations.tsv"
"""Milliseconds of each clip: newer releases have it, and without it every clip has to be opened once."""


class CommonVoice(TranscribedRecordings):
    """The clips of a language's tables.

    Args:
        split: "train", "val" or "test".
        root: folder of a language, such as ``cv-corpus-17.0/en``.
        train: table for training, without ``.tsv``: ``train``, ``validated``, ...
        val: table for validation.
        test: table for testing.
        sample_rate: to resample to, in Hz.

    Raises:
        ValueError: if the table or one of its columns is missing, or there are no clips.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        train: str = "train",
        val: str = "dev",
        test: str = "test",
        sample_rate: SampleRate = 16_000,
    ) -> None:
        name = {"train": train, "val": val, "test": test}[split]
        folder = Path(root).expanduser()
        table = folder / f"{name}.tsv"
        for path, option in ((table, f"data.{split}: {name}"), (folder / "clips", "data.root")):
            if not path.exists():
                raise ValueError(f"{option}; '{folder}' has no {path.name}; expected {LAYOUT}")
        bad: list[UnreadableError] = []
        seconds = _durations(folder / DURATIONS)
        utterances = []
        for line, (clip, sentence) in _cells(table, ("path", "sentence")):
            if clip and sentence is not None:
                file = clip if Path(clip).suffix else f"{clip}.mp3"  # early releases leave it out
                path = folder / "clips" / Path(file).name
                utterances.append(Utterance(path.stem, path, written(sentence), seconds.get(file)))
            else:
                bad.append(UnreadableError(f"{table}:{line}", "has no path or no sentence"))
        super().__init__(utterances, sample_rate, bad)


def _cells(table: Path, columns: tuple[str, str]) -> list[tuple[int, tuple[str | None, str | None]]]:
    """Line number and two cells of each row.

    Raises:
        ValueError: if a column is missing.
    """
    # No csv: quotation marks belong to the sentences, and some hold a lone carriage return.
    lines = listed_lines(table, "data.root", f"a table with the columns {' and '.join(columns)}")
    found = [name.strip() for name in lines[0].split("\t")] if lines else []
    if missing := [column for column in columns if column not in found]:
        raise ValueError(
            f"data.root: '{table}' has the columns {', '.join(found) or '(none)'}; expected {' and '.join(missing)}"
        )
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if line:
            cells = dict(zip(found, line.split("\t"), strict=False))
            rows.append((number, (cells.get(columns[0]), cells.get(columns[1]))))
    return rows


def _durations(table: Path) -> dict[str, float]:
    """Seconds of each clip, empty where no table says so."""
    if not table.is_file():
        return {}
    rows = _cells(table, ("clip", "duration[ms]"))
    try:
        seconds = {clip: float(duration) / 1000 for _, (clip, duration) in rows if clip and duration}
    except ValueError as error:
        raise ValueError(f"data.root: '{table}': {error}; expected milliseconds in the column duration[ms]") from None
    return {clip: length for clip, length in seconds.items() if 0 < length < math.inf}
