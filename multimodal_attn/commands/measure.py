"""Scores of maps and word times that another model made, with the measures and the page of this package."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from multimodal_attn.data.reading.files import write_skipped
from multimodal_attn.data.reading.npz import Npz
from multimodal_attn.evaluation.attention.cells.base import Text
from multimodal_attn.evaluation.attention.cells.pictures import PictureCells
from multimodal_attn.evaluation.attention.cells.recordings import RecordingCells
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.evaluation.bootstrap import intervals
from multimodal_attn.inspection.page.page import write_page
from multimodal_attn.prediction.foreign_maps import Truth, from_maps, from_times, read_ctm, read_truth
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.times.onset_times import onset_times
from multimodal_attn.runs.evaluations.report import print_report
from multimodal_attn.runs.folders import metrics_text
from multimodal_attn.types import Grid, Span, Target, Timeline, UnreadableError
from multimodal_attn.writing import replaced_folder, write_file

WRITTEN = ("metrics.json", "skipped.txt", "index.html")
"""What a measurement writes."""


def measure(maps: Path, truth: Path, output: Path, page_examples: int = 50) -> int:
    """Scores maps or word times; writes metrics.json, skipped.txt and the page into a folder.

    Args:
        maps: an npz of a (words, rows, columns) or (words, steps) array for each key, or a CTM file of word times.
        truth: a jsonl file; see ``foreign_maps.py``.
        output: folder to write.
        page_examples: how many the page shows, spread evenly over the truth.

    Returns:
        The exit status.

    Raises:
        ValueError: if a file cannot be read, or nothing in it can be scored.
    """
    lines, skipped = read_truth(truth)
    keys, predict = _given(maps, lines)
    known = {line.key for line in lines}
    skipped += [UnreadableError(key, f"has no usable line in {truth}") for key in keys if key not in known]
    found = []
    for line in lines:
        try:
            if line.key not in keys:
                raise UnreadableError(line.key, f"has nothing in {maps}")
            found.append((line, predict(line)))
        except UnreadableError as error:
            skipped.append(error)
    if not found:
        raise ValueError(f"maps: nothing in '{maps}' can be scored; {'; '.join(map(str, skipped[:3]))}")
    scores = _scores(found, are_maps=maps.suffix.lower() != ".ctm")
    metrics = scores.compute()
    metrics |= {"num_examples": float(len(found)), "num_skipped": float(len(skipped))}
    ends = intervals(scores.statistics(), len(found))
    shown = found
    if len(found) > page_examples:
        shown = [found[place * len(found) // page_examples] for place in range(page_examples)]
    with replaced_folder(output, WRITTEN) as folder:
        write_file(folder / "metrics.json", metrics_text(metrics, ends))
        write_skipped(folder / "skipped.txt", skipped)
        predictions = [prediction for _, prediction in shown]
        title = f"{maps.stem}: measured"
        write_page(predictions, folder / "index.html", title, metrics, total=len(found), intervals=ends)
    if skipped:
        print(f"{len(skipped)} are left out; {output / 'skipped.txt'} lists them with the reasons", file=sys.stderr)
    if not any(line.target.times or prediction.boxes for line, prediction in found):
        print(f"{truth} has no boxes and no times of these words: there is no truth to compare with", file=sys.stderr)
    elif not any(name.endswith("_num_words") for name in metrics):
        print(f"no word is written as {truth} has it, case and marks included: times of none compare", file=sys.stderr)
    print_report(metrics, str(output), intervals=ends)
    print(f"attention page: {output / 'index.html'}")
    return 0


def _given(path: Path, lines: Sequence[Truth]) -> tuple[Collection[str], Callable[[Truth], Prediction]]:
    """The keys in a file, in its order, and what makes a prediction of one.

    CTM files name a recording without its folder and suffix: such a name stands for the one key that has it.
    """
    if path.suffix.lower() == ".ctm":
        named = read_ctm(path)
        stems = Counter(Path(line.key).stem for line in lines)
        keys = {stem: line.key for line in lines if stems[stem := Path(line.key).stem] == 1 and line.key not in named}
        words = {keys.get(name, name): channels for name, channels in named.items()}
        return words, lambda line: from_times(line, words[line.key])
    try:
        arrays = Npz(path)
    except ValueError as error:
        raise ValueError(f"maps: {error}, or a ctm") from None
    return dict.fromkeys(arrays.keys), lambda line: from_maps(line, _array(arrays, line.key))


def _array(arrays: Npz, key: str) -> np.ndarray:
    try:
        return arrays.read(key)
    except ValueError as error:
        raise UnreadableError(key, f"has {error}") from None


def _scores(found: list[tuple[Truth, Prediction]], are_maps: bool) -> AttentionScores:
    """The figures; nothing of attention's shape where word times were given, whose maps are drawn here."""
    scores = AttentionScores()
    for line, prediction in found:
        spans = [(first, stop) for _, first, stop in prediction.word_tokens]
        text = Text(prediction.word_weights.astype(np.float64), spans)
        cells = scores.add(prediction.layout, text if are_maps else None)
        if isinstance(cells, PictureCells):
            if prediction.boxes:
                cells.compare(text, Target(prediction.text, boxes=prediction.boxes), cast(Grid, prediction.layout))
        elif isinstance(cells, RecordingCells) and line.target.times:
            heard = {"{}": list(prediction.word_spans)}
            if are_maps:
                cells.note_sharpness(text.maps)
                heard["{}_peak"] = onset_times(text.maps, cast(Timeline, prediction.layout), spans, method="peak")
            whole = Span(0.0, len(prediction.source) / prediction.sample_rate)
            cells.compare_times(prediction.text.split(), heard, line.target, whole)
    return scores
