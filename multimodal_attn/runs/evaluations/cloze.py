"""Evaluating a masked language model: hidden words of a split told, with the page of what it looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.loading.word_masking import VALIDATION, draws
from multimodal_attn.distributed import process_share
from multimodal_attn.evaluation.bootstrap import intervals
from multimodal_attn.evaluation.cloze import GAP, Cloze, Gaps
from multimodal_attn.evaluation.statistics import Mean, Statistic, figures_of
from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.prediction.prediction import Prediction, pieces_shown
from multimodal_attn.processes import own_device
from multimodal_attn.runs import environment
from multimodal_attn.runs.configuration import require
from multimodal_attn.runs.evaluations.texts import Evaluated, perplexity, refuse_idle, spread, write_evaluation
from multimodal_attn.runs.language_model import build_text_data
from multimodal_attn.runs.loading import overridden
from multimodal_attn.runs.masked_language_model import build_masking, cloze_of
from multimodal_attn.types import MASK

PSEUDO_PERPLEXITY_TEXTS = 100
"""At most, spread evenly over the split: a text is read as often as it has words."""


def evaluate_cloze(
    settings: Mapping[str, Any], content: Checkpoint, overrides: Mapping[str, Any], origin: environment.Environment
) -> dict[str, float]:
    """Hides the words that validation hides, and writes ``<run>/evaluation/<split>/``.

    Args:
        settings: of ``conf/evaluate.yaml``.
        content: of the run.
        overrides: of the run's configuration.
        origin: what is told of this command.

    Returns:
        The figures in metrics.json.

    Raises:
        ValueError: if settings are only for models that write, or the split cannot be read.
    """
    refuse_idle(settings, "a masked language model writes nothing")
    if process_share()[0] > 0:  # the first process does it alone
        return {}
    config = overridden(content.config, overrides, settings["trust"])
    cloze = replace(cloze_of(content, settings["trust"]), batch_size=settings["batch_size"])
    cloze.model.to(settings["device"] if settings["device"] != "auto" else own_device())
    require(config, ("data", "seed", "name"))
    data = build_text_data(config, cloze.tokenizer, settings["trust"])
    source = data.source(settings["split"])
    hiding = replace(build_masking(config["masking"]), masked=1.0, random=0.0)
    gaps = []
    for entry in source.entries:
        tokens = cloze.tokenizer.encode(entry.targets[0].text)
        hidden = hiding(tokens, cloze.tokenizer, draws(config["seed"], VALIDATION, entry.key))
        if hidden.words:
            whole = pieces_shown(entry.targets[0].text, cloze.tokenizer)
            pieces = [GAP if token == MASK else piece for token, piece in zip(hidden.tokens, whole, strict=True)]
            gaps.append(Gaps(entry.key, hidden.tokens, hidden.words, tokens, pieces))
    if not gaps:
        raise ValueError(f"data: no text of the {settings['split']} split has a word that the vocabulary knows")
    predictions = cloze.fill(gaps)
    statistics = _statistics(cloze, gaps, predictions, _most_frequent(data))
    some = spread(source.entries, PSEUDO_PERPLEXITY_TEXTS)
    pseudo = [perplexity("pseudo_perplexity", [cloze.surprise(entry.targets[0].text) for entry in some])]
    metrics = figures_of(statistics, len(gaps)) | figures_of(pseudo, len(some))
    ends = intervals(statistics, len(gaps)) | intervals(pseudo, len(some))
    metrics["num_parameters"] = sum(parameter.numel() for parameter in cloze.model.parameters())
    metrics |= {"num_examples": len(gaps), "num_skipped": len(source.skipped)}
    shown = cloze.fill(spread(gaps, settings["page_examples"]), layers=True)
    found = Evaluated(metrics, ends, [_line(each) for each in predictions], shown)
    write_evaluation(settings, content, config, source, found, origin)
    return metrics


def _statistics(
    cloze: Cloze, gaps: Sequence[Gaps], predictions: Sequence[Prediction], frequent: str | None
) -> list[Statistic]:
    """What the figures of hidden words are computed from."""
    surprise = [-value for value in cloze.log_probs(gaps)]
    tokens = [sum(stop - first for first, stop in each.words) for each in gaps]
    pairs = [
        (number, word == true, true == frequent)
        for number, prediction in enumerate(predictions)
        for (word, _, _), true in zip(prediction.word_tokens, prediction.references[0].split(), strict=True)
    ]
    examples, right, guessed = (np.array(each) for each in zip(*pairs, strict=True))
    found: list[Statistic] = [Mean("masked_accuracy", right.astype(float), examples)]
    if frequent is not None:
        found.append(Mean("masked_accuracy_frequent", guessed.astype(float), examples))
    return [*found, perplexity("masked_perplexity", list(zip(surprise, tokens, strict=True)))]


def _most_frequent(data: DataModule) -> str | None:
    """The most frequent word of the training texts; None where they are not at hand."""
    try:
        counts = Counter(word for text in data.source("train").texts() for word in text.split())
    except (OSError, ValueError):
        return None
    return counts.most_common(1)[0][0]


def _line(prediction: Prediction) -> dict[str, Any]:
    """A line of predictions.jsonl."""
    return {
        "key": prediction.key,
        "source": prediction.source.tolist(),
        "text": prediction.text,
        "references": prediction.references,
        "score": prediction.score,
        "candidates": [[[word, round(p, 6)] for word, p in each] for each in prediction.candidates],
    }
