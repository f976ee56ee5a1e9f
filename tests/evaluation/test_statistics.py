from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.evaluation.statistics import Mean, Median, Number, Sums, figures_of

VALUES, EXAMPLES = np.array([5.0, 1.0, 4.0, 2.0, 2.0]), np.array([0, 0, 1, 3, 3])  # example 2 has none
COUNTS = np.array([[1, 1, 1, 1], [2, 0, 3, 1], [0, 3, 0, 1], [0, 0, 4, 0]], dtype=float)


def drawn(row: np.ndarray) -> list[float]:
    """The values that a resample holds, written out."""
    return [value for value, example in zip(VALUES, EXAMPLES, strict=True) for _ in range(int(row[example]))]


def test_a_mean_and_a_median_of_a_resample_are_those_of_the_values_written_out() -> None:
    means = Mean("mean", VALUES, EXAMPLES).figures(COUNTS)["mean"]
    medians = Median("median", VALUES, EXAMPLES).figures(COUNTS)["median"]
    for row, mean, median in zip(COUNTS[:3], means, medians, strict=False):
        assert mean == pytest.approx(np.mean(drawn(row)))
        assert median == np.median(drawn(row))
    assert np.isnan([means[3], medians[3]]).all()  # the one example that was drawn has no value


def test_numbers_and_sums() -> None:
    assert Number("words", EXAMPLES).figures(COUNTS)["words"].tolist() == [5, 6, 5, 0]
    rate = Sums(
        np.array([[1.0, 2.0], [0.0, 2.0], [3.0, 3.0], [0.0, 1.0]]), lambda sums: {"rate": sums[:, 0] / sums[:, 1]}
    )
    assert rate.figures(COUNTS)["rate"].tolist() == [4 / 8, 11 / 14, 0, 1]


def test_the_figures_of_a_set_count_every_example_once() -> None:
    found = figures_of([Mean("mean", VALUES, EXAMPLES), Median("median", VALUES, EXAMPLES)], 4)
    assert found == {"mean": pytest.approx(2.8), "median": 2}
    assert figures_of([Mean("mean", VALUES[:0], EXAMPLES[:0])], 4) == {}
