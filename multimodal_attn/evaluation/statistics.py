"""What the figures of a set are computed from, example by example, so that any part of the set has its figures too.

One form serves a figure and its interval: the figure counts every example once, and a resample counts each as often as
it was drawn (``bootstrap.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


class Statistic(ABC):
    """One or more figures of a set of examples."""

    @abstractmethod
    def figures(self, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        """The figures of some resamples; not a number where a resample has nothing to compute one from.

        Args:
            counts: how often each example is in each resample.

        Shapes:
            counts: (R, E) float64. Returns (R,) for each figure's name.
        """


@dataclass(frozen=True)
class Sums(Statistic):
    """Figures that are computed from sums over examples: rates, and BLEU from its counts.

    Attributes:
        values: (E, P) of each example.
        formula: from sums (R, P) to each figure (R,).
    """

    values: np.ndarray
    formula: Callable[[np.ndarray], Mapping[str, np.ndarray]]

    def figures(self, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.formula(counts @ self.values)


@dataclass(frozen=True)
class Values(Statistic):
    """A figure of values, of which an example may have none or many, such as one per word.

    Attributes:
        name: of the figure.
        values: (W,) of all examples.
        examples: (W,) the example that each is of.
    """

    name: str
    values: np.ndarray
    examples: np.ndarray


class Mean(Values):
    """The mean of the values."""

    def figures(self, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        size = counts.shape[1]
        sums = np.bincount(self.examples, self.values, minlength=size)
        numbers = np.bincount(self.examples, minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {self.name: (counts @ sums) / (counts @ numbers)}


class _Quantile(Values):
    """The value that a share of the others lies below; the mean of two where it lies between them."""

    share: ClassVar[float]

    def figures(self, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        order = np.argsort(self.values, kind="stable")
        ordered = self.values[order]
        upto = counts[:, self.examples[order]].cumsum(axis=1)  # how many values of a resample are no larger
        number = upto[:, -1]
        # Of the median the two in the middle, which are one where the number is odd.
        low, high = (
            np.minimum((upto <= place[:, None]).sum(axis=1), len(ordered) - 1)
            for place in (np.floor(self.share * (number - 1)), np.ceil(self.share * (number - 1)))
        )
        return {self.name: np.where(number > 0, (ordered[low] + ordered[high]) / 2, np.nan)}


class Median(_Quantile):
    """The median of the values."""

    share = 0.5


class NinetiethPercentile(_Quantile):
    """What nine values of ten do not exceed."""

    share = 0.9


@dataclass(frozen=True)
class Number(Statistic):
    """How many there are of what an example may have none or many of.

    Attributes:
        name: of the figure.
        examples: (W,) the example of each.
    """

    name: str
    examples: np.ndarray

    def figures(self, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        return {self.name: counts @ np.bincount(self.examples, minlength=counts.shape[1])}


@dataclass(frozen=True)
class Ratio(Statistic):
    """The sum of some numbers over the sum of others.

    Attributes:
        name: of the figure.
        above, below: (W,) and (X,) of all examples.
        above_examples, below_examples: the example that each is of.
    """

    name: str
    above: np.ndarray
    above_examples: np.ndarray
    below: np.ndarray
    below_examples: np.ndarray

    def figures(self, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        size = counts.shape[1]
        above = counts @ np.bincount(self.above_examples, self.above, minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {self.name: above / (counts @ np.bincount(self.below_examples, self.below, minlength=size))}


def figures_of(statistics: Sequence[Statistic], num_examples: int) -> dict[str, float]:
    """The figures of the whole set; one that nothing is known for is left out."""
    once = np.ones((1, num_examples))
    found = {name: float(value[0]) for each in statistics for name, value in each.figures(once).items()}
    return {name: value for name, value in found.items() if not np.isnan(value)}
