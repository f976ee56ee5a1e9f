"""Faithfulness of a run's attention: faithfulness.json and faithfulness.png."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import track

from multimodal_attn.data.loading.collate import Collate
from multimodal_attn.evaluation.faithfulness.scores import SHARES, FaithfulnessScores, verdicts
from multimodal_attn.inspection.figures.curves import draw_curves
from multimodal_attn.prediction.checkpoint import Run
from multimodal_attn.search import Search
from multimodal_attn.types import Example

log = logging.getLogger(__name__)


def measure_faithfulness(
    run: Run, examples: Sequence[Example], search: Search, folder: Path, batch_size: int
) -> tuple[dict[str, float], list[str]]:
    """Decodes the examples, takes their cells away in order and at random, and writes both files.

    Args:
        run: on its device, in evaluation mode.
        examples: pictures, waveforms or texts as they are.
        search: that writes the texts.
        folder: for the files.
        batch_size: examples at a time.

    Returns:
        What belongs into metrics.json, and a sentence for each measure that does not beat chance.
    """
    module = run.module
    scores = FaithfulnessScores()
    collate = Collate(module.tokenizer, module.source_tokenizer)
    starts = range(0, len(examples), batch_size)
    for start in track(starts, f"taking cells away from {len(examples)} examples"):
        batch = collate(list(examples[start : start + batch_size])).to(module.device)
        with torch.no_grad():
            memory = module.model.encode(batch)
        best = [hypotheses[0] for hypotheses in module.decode(memory, search)]
        spans = [module.tokenizer.word_spans(hypothesis.tokens) for hypothesis in best]
        scores.update(module.model, batch, memory, best, spans, run.config.data.get("sample_rate", 16_000))
    measures = scores.compute()
    sentences = verdicts(measures)
    for sentence in scores.left_out():
        log.info(sentence)
    content = {
        "num_examples": len(examples),
        "scores": measures,
        "verdicts": sentences,
        "left_out": scores.left_out(),
        "shares": SHARES,
        "log_probability_of_a_word": scores.curves(),
    }
    (folder / "faithfulness.json").write_text(json.dumps(content, indent=2) + "\n")
    draw_curves(scores.curves(), SHARES).savefig(folder / "faithfulness.png")
    return measures, sentences
