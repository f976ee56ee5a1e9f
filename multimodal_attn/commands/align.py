"""Word times for your own recordings, by a forced aligner."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from rich.progress import track
from torch import Tensor

from multimodal_attn.data.datasets.base import SPLITS, Dataset, Split
from multimodal_attn.data.loading.build import dataset_part
from multimodal_attn.data.reading.aligner import Aligner
from multimodal_attn.data.reading.audio import resample
from multimodal_attn.data.reading.files import write_skipped
from multimodal_attn.data.reading.word_times import TimedText, read_word_times, write_word_times
from multimodal_attn.evaluation.attention.cells.recordings import RecordingCells
from multimodal_attn.measures import shown
from multimodal_attn.parts import EVERYTHING
from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.types import Span, Target, UnreadableError
from multimodal_attn.writing import check_writable

FILE = "word_times.jsonl"


def align(overrides: list[str], splits: Sequence[str], output: Path | None) -> int:
    """Aligns the recordings of a data set with their transcripts; writes the times and prints what became of it.

    What an earlier call wrote into the same file of other splits stays there.

    Args:
        overrides: of ``train.py``, such as ``data=librispeech``.
        splits: to align.
        output: file to write; None for ``word_times.jsonl`` beside the data.

    Returns:
        The exit status: 1 if nothing aligns.

    Raises:
        ValueError: if the configuration is wrong, or the data are no recordings.
        OSError: before anything is aligned, if the file cannot be written.
    """
    if unknown := [split for split in splits if split not in SPLITS]:
        raise ValueError(f"--splits: {unknown[0]!r}; expected some of {','.join(SPLITS)}")
    node = plain(compose("train", overrides).data)
    file = output or _beside(node) / FILE
    if file.is_dir() or file.suffix != ".jsonl":
        raise ValueError(f"--output: '{file}'; expected a file that ends in .jsonl")
    make = dataset_part(node, EVERYTHING)
    sources = {split: make(split=split) for split in cast(Sequence[Split], splits)}
    for source in sources.values():
        if source.reader.modality != "recording":
            raise ValueError(f"data: {source.reader.phrase} has no word times; expected recordings")
    check_writable(file)
    aligner = Aligner()
    found = [line for line in read_word_times(file, "--output") if line.split not in splits] if file.exists() else []
    skipped: dict[Path, list[UnreadableError]] = {}
    aligned = 0
    for split, source in sources.items():
        timed, bad, scores = _align_split(aligner, source, split, file.parent)
        found, aligned = found + timed, aligned + len(timed)
        skipped[file.with_suffix(f".{split}.skipped.txt")] = source.skipped + bad
        words = sum(len(line.target.times) for line in timed)
        print(f"{split}: {len(timed)} of {len(source)} recordings align, {words} words")
        if scores:
            print(
                f"{split}: against the data's own times, starts are {shown('onset_error_ms', scores['onset_error_ms'])}"
                f" off in the median, ends {shown('offset_error_ms', scores['offset_error_ms'])};"
                f" {shown('onset_within_50_ms', scores['onset_within_50_ms'])} of the starts are within 50 ms"
            )
    write_word_times(file, found)
    for path, errors in skipped.items():
        write_skipped(path, errors)
        if errors:
            print(f"{len(errors)} have no times; {path} lists them with the reasons", file=sys.stderr)
    print(f"{file}: read with data.word_times={file}")
    return 0 if aligned else 1


def _align_split(
    aligner: Aligner, source: Dataset, split: str, folder: Path
) -> tuple[list[TimedText], list[UnreadableError], dict[str, float]]:
    """The times of a split, what does not align, and how far they are from the times that the data have, if any.

    Paths of recordings start from ``folder``.
    """
    timed: list[TimedText] = []
    bad: list[UnreadableError] = []
    cells = RecordingCells()
    for index in track(range(len(source)), f"aligning {split}"):
        key = source.entries[index].key
        try:
            example = source[index]
            assert isinstance(example.source, Tensor), "recordings are waveforms"
            waveform = resample(example.source, example.sample_rate, aligner.sample_rate)
            target = example.targets[0]
            spans = aligner(waveform.numpy(), target.text, key)
        except UnreadableError as error:
            bad.append(error)
            continue
        path = source.path(index)
        audio = "" if path is None else os.path.relpath(path, folder)
        timed.append(TimedText(split, key, Target(target.text, times=spans, timed_by=aligner.name), audio))
        if target.times:
            whole = Span(0.0, len(waveform) / aligner.sample_rate)
            cells.compare_times(target.text.split(), {"{}": list(spans)}, target, whole)
    return timed, bad, cells.compute()


def _beside(node: dict[str, Any]) -> Path:
    """The folder of the data: their root, or that of the file which lists them."""
    places = [node.get("root"), *(node.get(split) for split in SPLITS)]
    for number, place in enumerate(places):
        if isinstance(place, str) and place != "???":
            path = Path(place).expanduser()
            return path if number == 0 else path.parent
    raise ValueError("--output: missing; expected a file, as these data lie in no folder of their own")
