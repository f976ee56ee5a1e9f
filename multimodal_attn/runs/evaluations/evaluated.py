"""Evaluated runs as they are compared: read from their folders, put together by seed, named by what sets them apart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import realpath  # unlike Path.resolve, it takes links that lead to themselves
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from multimodal_attn.measures import Measure, headline
from multimodal_attn.runs.evaluations.folder import RULES
from multimodal_attn.runs.folders import read_config, read_intervals, read_log, read_metrics
from multimodal_attn.runs.printable import printable
from multimodal_attn.types import UnreadableError

# What says nothing of a run but where it lies and how it was watched.
_INCIDENTAL = ("run_dir", "started_in", "cache_dir", "data.cache_dir", "resume", "callbacks.", "logger.", "choices.")
_OF_EVALUATION = ("search.", "ensemble", "checkpoint", "data.", "word_times", "tag")
_DATA = "data._target_"
_PATHS = ("init_from", "data.word_times")  # whose folders say no more than their names
_OFF_IF_EMPTY = ("tag", *(f"search.{key}" for key in RULES))


@dataclass
class EvaluatedRun:
    """One evaluation of a run.

    Attributes:
        folder: of the run.
        evaluation: folder of the evaluation.
        config: flat: ``decoder.hidden_dim`` -> value; the search is the one that made the figures.
        metrics: of metrics.json, and ``step_ms`` and ``peak_memory_mb`` where the cost of a training step was logged.
        intervals: of the metrics, 95 %.
    """

    folder: Path
    evaluation: Path
    config: dict[str, Any]
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass
class Group:
    """Runs that differ in nothing but their seed.

    Attributes:
        runs: at least one.
        label: that tells it from others.
    """

    runs: list[EvaluatedRun]
    label: str = ""

    def values(self, name: str) -> list[float]:
        """A figure of the runs that have it."""
        return [run.metrics[name] for run in self.runs if name in run.metrics]

    def mean(self, name: str) -> float | None:
        """Over the runs; None where none has the figure."""
        values = self.values(name)
        return mean(values) if values else None

    def deviation(self, name: str) -> float | None:
        """The standard deviation over the runs; None for fewer than two."""
        values = self.values(name)
        return stdev(values) if len(values) > 1 else None


def find_runs(paths: Sequence[Path], split: str) -> tuple[list[EvaluatedRun], list[UnreadableError]]:
    """Every evaluation of the split, once, of every run in or below the paths, and what cannot be read of them.

    A run without such an evaluation, and a path without a run, are told as well: their rows would be missed.
    """
    found: dict[str, EvaluatedRun] = {}
    skipped: dict[str, UnreadableError] = {}
    for path in paths:
        runs = [file.parent for file in sorted(path.rglob("config.yaml")) if (file.parent / "checkpoints").is_dir()]
        lacking = {realpath(run): UnreadableError(str(run), f"has no evaluation of the {split} split") for run in runs}
        evaluated = sorted(path.rglob("evaluation/*/metrics.json"))
        if not (lacking or evaluated):
            skipped[realpath(path)] = UnreadableError(str(path), "holds no run")
        for file in evaluated:
            folder = file.parent
            # One that is being written, or of which only the name of its folder can tell the split.
            if folder.name.startswith(".") or folder.name.partition("_")[0] != split:
                continue
            lacking.pop(realpath(folder.parents[1]), None)
            if (place := realpath(folder)) in found or place in skipped:
                continue
            try:
                found[place] = _read(folder.parents[1], folder)
            except UnreadableError as error:
                skipped[place] = error
        skipped |= lacking
    return list(found.values()), list(skipped.values())


def _read(folder: Path, evaluation: Path) -> EvaluatedRun:
    metrics = read_metrics(evaluation / "metrics.json")
    config, chosen = read_config(folder / "config.yaml"), read_config(evaluation / "config.yaml")
    config = {key: value for key, value in config.items() if not key.startswith("search.")}
    config |= {key: value for key, value in chosen.items() if key.startswith(_OF_EVALUATION) and key != "data"}
    config = {key: value for key, value in config.items() if value or key not in _OFF_IF_EMPTY}
    logged = read_log(folder / "metrics.jsonl")
    if steps := [line["train/step_seconds"] for line in logged if "train/step_seconds" in line]:
        metrics["step_ms"] = 1000 * median(steps)
    if peaks := [line["train/peak_memory_mb"] for line in logged if "train/peak_memory_mb" in line]:
        metrics["peak_memory_mb"] = max(peaks)
    return EvaluatedRun(folder, evaluation, config, metrics, read_intervals(evaluation / "metrics.json"))


def groups_of(runs: Sequence[EvaluatedRun]) -> list[Group]:
    """Runs that differ in their seed alone together, the best first by the score of their task; those without it last.

    A key other than ``seed`` is a seed too if it is called so and holds in every run what ``seed`` holds.
    """
    named = {key for run in runs for key in run.config if key.endswith(".seed")}
    seeds = {key for key in named if all(run.config.get(key) == run.config.get("seed") for run in runs)} | {"seed"}
    found: dict[str, Group] = {}
    for run in runs:
        kept = {key: value for key, value in run.config.items() if key not in seeds and not key.startswith(_INCIDENTAL)}
        key = json.dumps(kept, default=str, sort_keys=True)
        # The same search under another name, or the same seed again, is no other seed.
        for place in (key, key + run.evaluation.name, key + str(run.evaluation)):
            group = found.setdefault(place, Group([]))
            if not any(run.config.get("seed") == other.config.get("seed") for other in group.runs):
                break
        group.runs.append(run)
    groups = list(found.values())
    for group, label in zip(groups, labels([group.runs[0] for group in groups]), strict=True):
        first = group.runs[0]
        group.label = label or (first.folder.name if len(group.runs) == 1 else str(first.config.get("name", "all")))
    score = task_score(runs)
    if score is None:
        return groups
    sign = 1 if score.better == "lower" else -1
    return sorted(groups, key=lambda group: _worst_if_none(group.mean(score.name), sign))


def _worst_if_none(value: float | None, sign: int) -> float:
    return math.inf if value is None else sign * value


def judged_by(runs: Sequence[EvaluatedRun]) -> list[Measure]:
    """What the runs are judged by, the score of their task first."""
    return headline({name: value for run in runs for name, value in run.metrics.items()})


def task_score(runs: Sequence[EvaluatedRun]) -> Measure | None:
    """What the runs are ranked by; None where no figure has a better and a worse."""
    return next((found for found in judged_by(runs) if found.better), None)


def differing_keys(runs: Sequence[EvaluatedRun]) -> list[str]:
    """What is not the same in all configurations; a missing key is a difference too."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    chosen = [key for key in keys if not key.startswith(_INCIDENTAL)]
    return [key for key in chosen if len({json.dumps(run.config.get(key), default=str) for run in runs}) > 1]


def labels(runs: Sequence[EvaluatedRun]) -> list[str]:
    """A short name for each run: the classes that set it apart, what else does among those alike, or its folder.

    Runs of another data set differ in everything else as well: it is named first, then what sets apart those of one.
    """
    data = [short(_DATA, run.config.get(_DATA)) for run in runs]
    if len(set(data)) > 1:
        names = list(data)
        for each in dict.fromkeys(data):
            places = [place for place, other in enumerate(data) if other == each]
            for place, name in zip(places, labels([runs[place] for place in places]), strict=True):
                names[place] = f"{each}, {name}" if name else each
        return names
    keys = differing_keys(runs)
    # Where a search or an encoder is another, its class says so, not the list of its parts.
    classes = [
        key for key in keys if key.endswith("_target_") and not key.startswith(("search.rules", "search.scorers"))
    ]
    outer = tuple(key.removesuffix("_target_") for key in classes)
    classes = [key for key in classes if not any(key.startswith(one) and key != f"{one}_target_" for one in outer)]
    names = _names(runs, classes or keys)
    for name in [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        places = [place for place, other in enumerate(names) if other == name]
        alike = [runs[place] for place in places]
        details = _names(alike, differing_keys(alike))
        folders = [run.folder.name for run in alike]
        for place, run, detail in zip(places, alike, details, strict=True):
            if details.count(detail) > 1 or not (name or detail):
                once = folders.count(run.folder.name) == 1
                detail = f"({run.folder.name})" if once else f"({run.folder.name}, {run.evaluation.name})"
            names[place] = ", ".join(each for each in (name, detail) if each)
    return [printable(name) for name in names]


def short(key: str, value: Any) -> str:
    """A class by its own name; anything else as it is, the items of a list without quotation marks."""
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else "none" if value is None else str(value)
    text = printable(text[:200])
    return text.rsplit(".", 1)[-1] if key.endswith("_target_") else text


def _names(runs: Sequence[EvaluatedRun], keys: Sequence[str]) -> list[str]:
    """The values of some keys in words; of texts the value alone."""
    named = ([_named(key, run.config[key]) for key in keys if key in run.config] for run in runs)
    return [", ".join(dict.fromkeys(words)) for words in named]  # data.seed is mostly the seed


def _named(key: str, value: Any) -> str:
    if key in _PATHS and value:
        return f"{key.rpartition('.')[2]}={printable(Path(value).name)}"
    return short(key, value) if isinstance(value, str) else f"{key.rpartition('.')[2]}={short(key, value)}"
