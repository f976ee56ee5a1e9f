"""Evaluating a language model: the perplexity of a split, and the page of what it expected and what it read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multimodal_attn.distributed import process_share
from multimodal_attn.evaluation.bootstrap import intervals
from multimodal_attn.evaluation.reading import read_text
from multimodal_attn.evaluation.statistics import figures_of
from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.processes import own_device
from multimodal_attn.runs import environment
from multimodal_attn.runs.configuration import require
from multimodal_attn.runs.evaluations.texts import Evaluated, perplexity, refuse_idle, spread, write_evaluation
from multimodal_attn.runs.language_model import build_text_data, writer_of
from multimodal_attn.runs.loading import overridden


def evaluate_language_model(
    settings: Mapping[str, Any], content: Checkpoint, overrides: Mapping[str, Any], origin: environment.Environment
) -> dict[str, float]:
    """Reads the texts of a split, and writes ``<run>/evaluation/<split>/``.

    Args:
        settings: of ``conf/evaluate.yaml``.
        content: of the run.
        overrides: of the run's configuration.
        origin: what is told of this command.

    Returns:
        The figures in metrics.json.

    Raises:
        ValueError: if settings are only for models that have a source, or the split cannot be read.
    """
    refuse_idle(settings, "a language model has no source to write from")
    if process_share()[0] > 0:  # the first process does it alone
        return {}
    config = overridden(content.config, overrides, settings["trust"])
    writer = writer_of(content, settings["trust"])
    writer.model.to(settings["device"] if settings["device"] != "auto" else own_device())
    require(config, ("data", "seed", "name"))
    source = build_text_data(config, writer.tokenizer, settings["trust"]).source(settings["split"])
    texts = [(entry.key, entry.targets[0].text) for entry in source.entries]
    values = [writer.log_probs(text) for _, text in texts]
    statistics = [perplexity("perplexity", [(-sum(each), len(each)) for each in values])]
    metrics = figures_of(statistics, len(texts))
    metrics["num_parameters"] = sum(parameter.numel() for parameter in writer.model.parameters())
    metrics |= {"num_examples": len(texts), "num_skipped": len(source.skipped)}
    lines = [
        {"key": key, "text": text, "log_probs": [round(value, 5) for value in each]}
        for (key, text), each in zip(texts, values, strict=True)
    ]
    shown = [read_text(writer, key, text) for key, text in spread(texts, settings["page_examples"])]
    found = Evaluated(metrics, intervals(statistics, len(texts)), lines, shown)
    write_evaluation(settings, content, config, source, found, origin)
    return metrics
