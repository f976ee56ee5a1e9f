"""How much a figure depends on the examples that happened to be in the set: the bootstrap (Efron 1979).

Examples are drawn anew, with replacement, as many as there are, and the figure is computed of each such resample. The
draws are the same for every set of the same size, so that two systems on one set are compared example by example
(Koehn 2004, "Statistical significance tests for machine translation evaluation", section 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from multimodal_attn.evaluation.statistics import Statistic
from multimodal_attn.measures import measure

NUM_RESAMPLES = 1000
_AT_ONCE = 2**20  # counts in memory at a time


class Interval(NamedTuple):
    """The middle 95 % of what resamples give."""

    low: float
    high: float


def draws(num_examples: int, seed: int = 0, number: int = NUM_RESAMPLES) -> Iterator[np.ndarray]:
    """How often each example is in each resample, some resamples at a time.

    Shapes:
        Gives (R, E) float64; the R add up to ``number``.
    """
    random = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // max(1, num_examples))
    for start in range(0, number, at_once):
        rows = min(at_once, number - start)
        chosen = random.integers(num_examples, size=(rows, num_examples))
        chosen += num_examples * np.arange(rows)[:, None]
        yield np.bincount(chosen.ravel(), minlength=rows * num_examples).reshape(rows, -1).astype(np.float64)


def resampled(statistics: Sequence[Statistic], num_examples: int) -> dict[str, np.ndarray]:
    """Every figure of every resample but counts, which depend on nothing but the size of the set.

    Shapes:
        Returns (NUM_RESAMPLES,) for each name; not a number where a resample has nothing to compute it from.
    """
    found: dict[str, list[np.ndarray]] = {}
    for counts in draws(num_examples) if statistics else ():
        for statistic in statistics:
            for name, values in statistic.figures(counts).items():
                if measure(name).unit != "count":
                    found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def interval(values: np.ndarray) -> Interval | None:
    """Of the figures of resamples; None if none of them has any."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(float(low), float(high))


def intervals(statistics: Sequence[Statistic], num_examples: int) -> dict[str, Interval]:
    """The 95 % interval of every figure but counts; empty for a single example, which says nothing of others."""
    if num_examples < 2:
        return {}
    found = {name: interval(values) for name, values in resampled(statistics, num_examples).items()}
    return {name: ends for name, ends in found.items() if ends is not None}
