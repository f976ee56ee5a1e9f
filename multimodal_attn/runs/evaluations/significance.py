"""Whether two groups of runs differ, or only seem to: a paired bootstrap over the examples that all runs have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multimodal_attn.evaluation.bootstrap import interval, resampled
from multimodal_attn.evaluation.statistics import Statistic
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.parts import part
from multimodal_attn.runs.evaluations.evaluated import EvaluatedRun, Group
from multimodal_attn.runs.evaluations.example_statistics import FILE, read_statistics
from multimodal_attn.types import UnreadableError

_LARGEST = 2**28  # bytes of a predictions.jsonl that is read


class Significance:
    """Tests on the same resamples of the examples that every run has predicted.

    Each resample draws examples, and of each group runs as well, so that what a seed does is part of the doubt. With
    three seeds this is still too sure of itself: three runs show little of how runs differ. Texts are scored anew from
    predictions.jsonl, by the scores that the run names, if they are of this package; attention is taken from
    statistics.npz.

    Args:
        groups: to compare.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        predictions = {id(run): _predictions(run.evaluation) for group in groups for run in group.runs}
        keys = _common(predictions.values())
        self.num_examples = len(keys)
        """That all runs have predicted; below two nothing is tested."""
        self.most_examples = max(map(len, predictions.values()), default=0)
        """That any run has predicted."""
        self._figures: list[dict[str, np.ndarray]] = []
        self._own_figures: list[dict[str, np.ndarray]] = []  # of the examples that all runs of a group have
        for number, group in enumerate(groups):
            files = [(run, predictions[id(run)]) for run in group.runs]
            own = _common(found for _, found in files)
            compared = _drawn([_resampled(*each, keys) for each in files], number)
            self._figures.append(compared)
            self._own_figures.append(
                compared if own == keys else _drawn([_resampled(*each, own) for each in files], number)
            )

    def interval(self, group: int, name: str) -> tuple[float, float] | None:
        """95 % of a group's mean, over examples and seeds; None where nothing is known of single examples."""
        values = self._own_figures[group].get(name)
        return None if values is None else interval(values)

    def differ(self, one: int, other: int, name: str) -> bool | None:
        """Whether 95 % of the resamples agree which of two groups has more; None where that cannot be tested."""
        first, second = (self._figures[group].get(name) for group in (one, other))
        ends = None if first is None or second is None else interval(first - second)
        return None if ends is None else not ends.low <= 0 <= ends.high


def _common(predictions: Iterable[dict[str, dict[str, Any]]]) -> list[str]:
    """The keys of the examples that all have; generated data of another seed have the same keys and other texts."""
    sets = [{(key, *line["references"]) for key, line in found.items()} for found in predictions]
    return sorted(key for key, *_ in set.intersection(*sets)) if sets else []


def _resampled(run: EvaluatedRun, predictions: dict[str, dict[str, Any]], keys: list[str]) -> dict[str, np.ndarray]:
    if len(keys) < 2:
        return {}
    chosen = [predictions[key] for key in keys]
    statistics: list[Statistic] = []
    try:
        scores: TextScores = part("metrics", {"_target_": run.config.get("metrics._target_")}, TextScores)()
        statistics += scores.statistics([p["text"] for p in chosen], [p["references"] for p in chosen])
    except ValueError:  # of another package, or no references
        pass
    place = {prediction["line"]: number for number, prediction in enumerate(chosen)}
    statistics += read_statistics(run.evaluation / FILE, place)
    return resampled(statistics, len(keys))


def _drawn(runs: Sequence[dict[str, np.ndarray]], seed: int) -> dict[str, np.ndarray]:
    """The mean over runs, which are drawn anew for every resample too."""
    names = set.intersection(*(set(found) for found in runs)) if runs else set()
    random = np.random.default_rng(seed)
    found = {}
    for name in sorted(names):
        values = np.stack([figures[name] for figures in runs])  # (runs, R)
        chosen = random.integers(len(runs), size=values.shape)
        found[name] = np.take_along_axis(values, chosen, axis=0).mean(axis=0)
    return found


def _predictions(folder: Path) -> dict[str, dict[str, Any]]:
    """Key -> text, references and number of its line; empty where predictions.jsonl cannot be read."""
    path = folder / "predictions.jsonl"
    try:
        if path.stat().st_size > _LARGEST:
            raise UnreadableError(str(path), "is too large")
        lines = path.read_text(encoding="utf-8").splitlines()
        found = {}
        for number, line in enumerate(lines):
            content = json.loads(line)
            key, text, references = content["key"], content["text"], content["references"]
            if not isinstance(text, str) or not all(isinstance(each, str) for each in references):
                raise ValueError("texts were expected")
            found[str(key)] = {"text": text, "references": references, "line": number}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found
