"""What evaluations of models that learn from texts alone share: refused settings, and the folder they write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import yaml
from rich.console import Console

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.reading.files import write_skipped
from multimodal_attn.evaluation.attention.heads import heads_of
from multimodal_attn.evaluation.bootstrap import Interval
from multimodal_attn.evaluation.statistics import Sums
from multimodal_attn.inspection.page.page import page_title, write_page
from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.runs import environment
from multimodal_attn.runs.evaluations.folder import folder_name
from multimodal_attn.runs.evaluations.loggers import evaluation_loggers, log_evaluation
from multimodal_attn.runs.evaluations.report import print_report
from multimodal_attn.runs.folders import metrics_text
from multimodal_attn.writing import replaced_folder, write_file

Item = TypeVar("Item")

WRITTEN = (
    *("config.yaml", "metrics.json", "predictions.jsonl", "skipped.txt", "cut.txt", "index.html", "heads.json"),
    environment.FILE,
)
"""What an evaluation writes."""
_USED = ("run", "split", "tag", "checkpoint", "page_examples", "data", "device")


class Evaluated(NamedTuple):
    """What an evaluation has found.

    Attributes:
        metrics: figures.
        intervals: of those that have one.
        lines: of predictions.jsonl.
        shown: on the page.
    """

    metrics: dict[str, float]
    intervals: dict[str, Interval]
    lines: list[dict[str, Any]]
    shown: list[Prediction]


def refuse_idle(settings: Mapping[str, Any], reason: str) -> None:
    """Refuses settings that are only for models that read and write.

    Args:
        settings: of ``conf/evaluate.yaml``.
        reason: why they would do nothing.
    """
    for key, idle in (("ensemble", []), ("faithfulness", False), ("transcripts", []), ("extra_scores", [])):
        if settings[key] != idle:
            raise ValueError(f"{key}: {settings[key]}; expected {idle}, as {reason}")
    split = settings["split"]
    if (name := folder_name({**settings, "tag": None, "checkpoint": "best"})) != split:
        raise ValueError(f"search: {name.removeprefix(split)[1:]}; expected none, as {reason}")


def spread(items: Sequence[Item], number: int) -> list[Item]:
    """So many of them, evenly spread; all if they are fewer."""
    return [items[place * len(items) // number] for place in range(number)] if number < len(items) else list(items)


def perplexity(name: str, texts: Sequence[tuple[float, int]]) -> Sums:
    """Of the negative log probability and the number of tokens of each text."""
    return Sums(np.array(texts, dtype=float), lambda sums: {name: np.exp(np.minimum(100.0, sums[:, 0] / sums[:, 1]))})


def write_evaluation(
    settings: Mapping[str, Any],
    content: Checkpoint,
    config: Mapping[str, Any],
    source: Dataset,
    found: Evaluated,
    origin: environment.Environment,
) -> None:
    """Writes ``<run>/evaluation/<split>/`` with its page, and prints and logs the figures.

    Args:
        settings: of ``conf/evaluate.yaml``.
        content: of the run.
        config: of the run.
        source: the data set of the split.
        found: about it.
        origin: what is told of this command.
    """
    folder = content.folder / "evaluation" / folder_name(settings)
    loggers = evaluation_loggers(settings.get("logger"), content.folder)
    title = page_title(str(config["name"]), settings["split"])
    with replaced_folder(folder, WRITTEN) as new:
        used = {key: settings[key] for key in _USED}
        write_file(new / "config.yaml", yaml.safe_dump(used, sort_keys=False, allow_unicode=True))
        write_file(new / "metrics.json", metrics_text(found.metrics, found.intervals))
        lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in found.lines)
        write_file(new / "predictions.jsonl", "".join(lines).encode("utf-8", "backslashreplace"))
        write_skipped(new / "skipped.txt", source.skipped)
        if source.cut:
            write_skipped(new / "cut.txt", source.cut)
        if heads := heads_of([each.self_attention for each in found.shown if each.self_attention]):
            write_file(new / "heads.json", json.dumps(heads, indent=1) + "\n")
        total = len(found.lines)
        write_page(found.shown, new / "index.html", title, found.metrics, total=total, intervals=found.intervals)
        origin.add_data(config["data"].get("root"), settings["split"], source)
        origin.write(new, wall=True)
    print_report(found.metrics, str(folder), (), settings["verbose"], intervals=found.intervals)
    log_evaluation(loggers, f"evaluation/{folder.name}", found.metrics, folder / "index.html")
    Console().print(f"attention page: {folder / 'index.html'}", soft_wrap=True)
