"""Texts of files, from the command line: captions, transcripts, translations."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from multimodal_attn.data.reading.files import find_files
from multimodal_attn.distributed import gather_to_first, process_share
from multimodal_attn.evaluation.attention.self_attention import self_attention
from multimodal_attn.inspection.page.page import page_title, write_page
from multimodal_attn.parts import checked
from multimodal_attn.prediction.answer import as_object
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.sources import read_all
from multimodal_attn.processes import joined
from multimodal_attn.ranges import BeamWidth
from multimodal_attn.runs.loading import load
from multimodal_attn.runs.printable import printable
from multimodal_attn.types import Example, UnreadableError

AT_ONCE = 32
"""Of each of several processes; whole batches of photos, so that they are those of a single process."""


def predict(
    run: Path,
    files: Sequence[Path],
    width: int = 5,
    ensemble: Sequence[Path] = (),
    trust: Sequence[str] = (),
    page: Path | None = None,
    as_json: bool = False,
) -> int:
    """Prints what a run writes for files, a line each, as soon as it is known; what is skipped goes to standard error.

    Args:
        run: folder or checkpoint file.
        files: files and folders; of texts also "-", the standard input.
        width: of the beam.
        ensemble: further runs that predict together with it.
        trust: packages whose classes a checkpoint may name.
        page: where to write the attention page, or None.
        as_json: print objects in place of tab-separated lines.

    Returns:
        The exit status: 1 if nothing could be read.
    """
    checked("--width", width, BeamWidth)
    with joined():
        predictor = load(run, width, ensemble, trust=trust)
        paths, others = find_files(files, predictor.suffixes)
        done, num_skipped, shown = 0, len(others), []
        rank, _ = process_share()
        for error in others if rank == 0 else []:
            print(f"skipped {printable(str(error))}", file=sys.stderr)
        layers = page is not None and not ensemble  # whose members have layers of their own
        for found in predict_together(predictor, paths, layers):
            if isinstance(found, UnreadableError):
                num_skipped += 1
                print(f"skipped {printable(str(found))}", file=sys.stderr)
                continue
            done += 1
            print(_json(found) if as_json else _line(found), flush=True)
            if page is not None:
                shown.append(found)
        if rank > 0:  # the first process tells
            return 0
        if num_skipped:
            print(f"{done} {predictor.reader.modality}s read, {num_skipped} skipped", file=sys.stderr)
        if shown and page is not None:
            written = write_page(shown, page, page_title(run.name, None))
            print(f"attention page: {written}", file=sys.stderr if as_json else sys.stdout)
        return 0 if done else 1


def predict_files(
    predictor: Predictor, sources: Iterator[Example | UnreadableError], layers: bool = False
) -> Iterator[Prediction | UnreadableError]:
    """The prediction of each source, or why it cannot be read; in order, as soon as it is known.

    Args:
        predictor: that reads them.
        sources: as ``read_all`` gives them.
        layers: also what the model's layers of self-attention read.
    """
    while read := list(islice(sources, predictor.reader.at_once)):
        examples = [found for found in read if isinstance(found, Example)]
        found_texts = predictor.predict(examples)
        for example, prediction in zip(examples, found_texts, strict=True) if layers else ():
            prediction.self_attention = self_attention(predictor, example, prediction)
        predictions = iter(found_texts)
        for found in read:
            yield next(predictions) if isinstance(found, Example) else found


def predict_together(
    predictor: Predictor, paths: Sequence[Path], layers: bool = False
) -> Iterator[Prediction | UnreadableError]:
    """What ``predict_files`` gives, from all processes that call this (``processes.py``), in the first of them.

    The others give nothing. Sources are handed out some at a time, so that results come while others are at work.
    """
    rank, number = process_share()
    if number == 1:
        yield from predict_files(predictor, _read(predictor, paths), layers)
        return
    # A text file is quick to read and holds any number of sources: its lines are handed out, of others the files.
    by_line = not predictor.reader.in_files
    remaining: Iterator[Any] = _read(predictor, paths) if by_line else iter(paths)
    while batch := list(islice(remaining, number * AT_ONCE)):
        own = batch[rank * AT_ONCE : (rank + 1) * AT_ONCE]
        found = predict_files(predictor, iter(own) if by_line else read_all(predictor.reader, own), layers)
        for share in gather_to_first(list(found)) or []:
            yield from share


def _read(predictor: Predictor, paths: Sequence[Path]) -> Iterator[Example | UnreadableError]:
    """As ``read_all``; the first process tells of what only the beginning is read."""
    for found in read_all(predictor.reader, paths):
        if isinstance(found, Example) and found.cut and process_share()[0] == 0:
            print(printable(f"{found.key}: {found.cut}"), file=sys.stderr)
        yield found


def _json(found: Prediction) -> str:
    return json.dumps({"key": found.key, **as_object(found)}, ensure_ascii=False)


def _line(found: Prediction) -> str:
    return f"{printable(found.key)}\t{printable(found.text)}" + (f"\t[{', '.join(found.flags)}]" if found.flags else "")
