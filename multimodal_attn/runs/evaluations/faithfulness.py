"""Faithfulness of a run's attention: faithfulness.json and faithfulness.png."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import track

from multimodal_attn.evaluation.bootstrap import Interval
from multimodal_attn.evaluation.faithfulness.scores import SHARES, FaithfulnessScores, verdicts
from multimodal_attn.inspection.figures.curves import draw_curves
from multimodal_attn.inspection.figures.png import as_png
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.types import Example
from multimodal_attn.writing import write_file

log = logging.getLogger(__name__)


def measure_faithfulness(
    predictor: Predictor, examples: Sequence[Example], folder: Path, batch_size: int
) -> tuple[dict[str, float], dict[str, Interval], list[str]]:
    """Decodes the examples, takes their cells away in order and at random, and writes both files.

    Args:
        predictor: on its device, in evaluation mode.
        examples: pictures, waveforms or texts as they are.
        folder: for the files.
        batch_size: examples at a time.

    Returns:
        What belongs into metrics.json, with its intervals, and a sentence for each measure that does not beat chance.
    """
    model, tokenizer = predictor.model, predictor.tokenizer
    scores = FaithfulnessScores()
    starts = range(0, len(examples), batch_size)
    for start in track(starts, f"taking cells away from {len(examples)} examples"):
        batch = predictor.collate(examples[start : start + batch_size])
        with torch.no_grad():
            memory = model.encode(batch)
        best = [hypotheses[0] for hypotheses in predictor.decode(memory, batch.keys)]
        spans = [tokenizer.word_spans(hypothesis.tokens) for hypothesis in best]
        scores.update(model, batch, memory, best, spans, predictor.reader.sample_rate)
    measures, intervals = scores.compute(), scores.intervals()
    sentences = verdicts(measures, intervals)
    for sentence in scores.left_out():
        log.info(sentence)
    content = {
        "num_examples": len(examples),
        "scores": measures,
        "intervals": intervals,
        "verdicts": sentences,
        "left_out": scores.left_out(),
        "shares": SHARES,
        "log_probability_of_a_word": scores.curves(),
    }
    write_file(folder / "faithfulness.json", json.dumps(content, indent=2) + "\n")
    write_file(folder / "faithfulness.png", as_png(draw_curves(scores.curves(), SHARES)))
    return measures, intervals, sentences
