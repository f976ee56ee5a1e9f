from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from multimodal_attn.evaluation.attention import (
    AttentionScores,
    hit_cells,
    onset_times,
    pointing_hit,
    relative_entropy,
)
from multimodal_attn.types import Box, Grid, Span, Target, Timeline

STEP = 0.1


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, S): each token looks at one position."""
    return np.eye(size)[list(positions)]


# ------------------------------------------------------------------------------------------------- pointing


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        (Box(0, 0, 0.5, 0.5), [0, 1, 4, 5]),
        (Box(0, 0, 1, 1), list(range(16))),
        (Box(0.2, 0, 0.55, 0.25), [1]),  # overlaps three cells of the first row, holds one centre
        (Box(0.51, 0.52, 0.6, 0.6), [10]),  # small, between centres: the cell that holds it
        (Box(0, 0.52, 1, 0.6), [8, 9, 10, 11]),  # a thin strip between the centres of rows
        (Box(1, 1, 1, 1), [15]),  # on the border
        (Box(0.95, 0.95, 1.0, 1.0), [15]),
    ],
)
def test_cells_that_point_at_a_box(box: Box, cells: list[int]) -> None:
    assert np.flatnonzero(hit_cells(Grid(4, 4), (box,))).tolist() == cells


def test_any_box_is_right() -> None:
    boxes = (Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 1, 1))
    assert hit_cells(Grid(2, 2), boxes).tolist() == [True, False, False, True]
    assert hit_cells(Grid(2, 2), ()).tolist() == [False] * 4


def test_rows_are_not_columns() -> None:
    assert np.flatnonzero(hit_cells(Grid(rows=2, columns=4), (Box(0.75, 0, 1, 0.5),))).tolist() == [3]


def test_the_peak_decides() -> None:
    box = (Box(0.5, 0, 1, 0.5),)
    assert pointing_hit(np.array([0.3, 0.4, 0.2, 0.1]), Grid(2, 2), box) == 1
    assert pointing_hit(np.array([0.4, 0.3, 0.2, 0.1]), Grid(2, 2), box) == 0


def test_a_uniform_map_is_right_by_chance() -> None:
    uniform = np.full(4, 0.25) + np.array([0, 0, 0, 1e-9])
    assert pointing_hit(uniform, Grid(2, 2), (Box(0, 0, 0.5, 0.5),)) == pytest.approx(1 / 4)
    assert pointing_hit(np.full(4, np.nan), Grid(2, 2), (Box(0, 0, 0.5, 0.5),)) == pytest.approx(1 / 4)


def test_pointing_scores() -> None:
    target = Target("a dog and cat", boxes={1: (Box(0, 0, 1 / 3, 1 / 3),), 3: (Box(1 / 3, 1 / 3, 1, 1),), 0: ()})
    # Two heads that agree only in the mean, two tokens for "dog".
    weights = np.stack([one_hot(9, 5, 0, 0, 2, 1), one_hot(9, 5, 8, 0, 2, 1)], axis=1)
    scores = AttentionScores()
    scores.update_boxes(weights, [(0, 1), (1, 3), (3, 4), (4, 5)], target, Grid(3, 3))
    found = scores.compute()
    assert found["pointing_accuracy"] == pytest.approx(1 / 2)  # the dog is found, the cat is not
    assert found["pointing_num_words"] == 2
    assert found["pointing_uniform"] == pytest.approx((1 / 9 + 4 / 9) / 2)
    assert found["pointing_centre"] == pytest.approx(1 / 2)
    scores.reset()
    assert scores.compute() == {}


def test_centre_of_an_even_grid_is_four_cells() -> None:
    scores = AttentionScores()
    scores.update_boxes(np.full((1, 1, 16), 1 / 16), [(0, 1)], Target("dog", {0: (Box(0, 0, 0.5, 0.5),)}), Grid(4, 4))
    assert scores.compute()["pointing_centre"] == pytest.approx(1 / 4)


def test_a_cut_off_caption_counts_only_its_words() -> None:
    target = Target("dog cat", boxes={0: (Box(0, 0, 1, 1),), 1: (Box(0, 0, 1, 1),)})
    scores = AttentionScores()
    scores.update_boxes(np.full((1, 1, 4), 0.25), [(0, 1)], target, Grid(2, 2))
    assert scores.compute()["pointing_num_words"] == 1


# --------------------------------------------------------------------------------------------------- onsets


def test_words_begin_with_the_space_before_them() -> None:
    weights = one_hot(12, 2, 3, 5, 8)
    spans = onset_times(weights, Timeline(STEP), [(0, 2), (3, 4)])
    assert spans[0].start == pytest.approx(0.2)  # the two steps of silence belong to no word
    assert spans[1].start == pytest.approx(0.5)
    assert spans[1].end == pytest.approx(0.9)


def test_offset_and_wide_words() -> None:
    weights = np.zeros((2, 10))
    weights[0, 1:4] = 1 / 3
    weights[1, 6:8] = 1 / 2
    spans = onset_times(weights, Timeline(STEP, offset_seconds=1.0), [(0, 1), (1, 2)])
    assert [span.start for span in spans] == pytest.approx([1.1, 1.6])
    assert spans[1].end == pytest.approx(1.8)


def test_a_shared_step_is_split_by_weight() -> None:
    weights = np.zeros((2, 10))
    weights[0, [2, 3]] = 0.7, 0.3
    weights[1, [3, 4]] = 0.2, 0.8
    first, second = onset_times(weights, Timeline(STEP), [(0, 1), (1, 2)])
    assert first.end == pytest.approx(second.start)
    assert second.start == pytest.approx(STEP * 3.6)


def test_more_tokens_than_steps() -> None:
    weights = one_hot(3, 0, 0, 0, 1, 1, 2)
    spans = onset_times(weights, Timeline(STEP), [(0, 1), (1, 2), (2, 3), (3, 5), (5, 6)])
    assert [span.start for span in spans] == pytest.approx([0, 0.1 / 3, 0.2 / 3, 0.1, 0.2])
    assert all(span.end > span.start for span in spans)


def test_the_path_is_monotonic_where_peaks_are_not() -> None:
    weights = one_hot(12, 1, 4, 9) * 0.9 + 0.1 / 12
    weights[1] = 0.0
    weights[1, [4, 11]] = 0.4, 0.6  # a glance at the end
    words = [(0, 1), (1, 2), (2, 3)]
    assert [s.start for s in onset_times(weights, Timeline(STEP), words)] == pytest.approx([0.1, 0.4, 0.9])
    peaks = onset_times(weights, Timeline(STEP), words, method="peak")
    assert [s.start for s in peaks] == pytest.approx([0.1, 1.1, 0.9])


def test_path_equals_exhaustive_search() -> None:
    generator = np.random.default_rng(3)
    for _ in range(20):
        gains = generator.dirichlet(np.full(6, 0.4), size=3) - 1 / 6
        best, path = -np.inf, []
        for a, b, c, d, e, f in product(range(6), repeat=6):
            if a <= b <= d <= f and c <= d and e <= f and c - b in (0, 1) and e - d in (0, 1):
                total = gains[0, a : b + 1].sum() + gains[1, c : d + 1].sum() + gains[2, e : f + 1].sum()
                if total > best:
                    best, path = total, [(a, b), (c, d), (e, f)]
        attended = [[s for s in range(u, v + 1) if gains[t, s] > 0] or [u] for t, (u, v) in enumerate(path)]
        found = onset_times(gains + 1 / 6, Timeline(1.0), [(0, 1), (1, 2), (2, 3)])
        assert [int(span.start) for span in found] == [steps[0] for steps in attended]


def test_no_tokens_and_flat_weights() -> None:
    assert onset_times(np.zeros((0, 5)), Timeline(STEP), []) == []
    flat = onset_times(np.full((3, 5), 0.2), Timeline(STEP), [(0, 1), (1, 3)])
    assert all(0 <= span.start <= span.end <= 5 * STEP + 1e-9 for span in flat)


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="'dtw' or 'peak'"):
        onset_times(np.zeros((1, 5)), Timeline(STEP), [(0, 1)], method="mean")


def test_onset_scores_compare_correct_words_only() -> None:
    target = Target("bin red at two", times=(Span(0.1, 0.3), Span(0.3, 0.5), Span(0.5, 0.7), Span(0.8, 0.9)))
    words = ["bin", "blue", "two"]  # "blue" is wrong, "at" is missing
    weights = one_hot(10, 2, 4, 7)[:, None]
    scores = AttentionScores()
    scores.update_times(weights, [(0, 1), (1, 2), (2, 3)], words, target, Timeline(STEP))
    found = scores.compute()
    assert found["onset_num_words"] == 2
    assert found["onset_error_ms"] == pytest.approx(100)
    assert found["onset_bias_ms"] == pytest.approx(0, abs=1e-6)  # one 100 ms late, one 100 ms early
    assert found["onset_even_ms"] == pytest.approx((100 + abs(2000 / 3 - 800)) / 2)


def test_late_is_positive() -> None:
    scores = AttentionScores()
    target = Target("two", times=(Span(0.1, 0.3),))
    scores.update_times(one_hot(10, 3)[:, None], [(0, 1)], ["two"], target, Timeline(STEP))
    assert scores.compute()["onset_bias_ms"] == pytest.approx(200)


def test_an_empty_hypothesis_adds_nothing() -> None:
    scores = AttentionScores()
    target = Target("two", times=(Span(0.1, 0.3),))
    scores.update_times(np.zeros((0, 1, 10)), [], [], target, Timeline(STEP))
    assert scores.compute() == {}


# ------------------------------------------------------------------------------------------------ sharpness


def test_entropy_is_relative_to_the_number_of_positions() -> None:
    weights = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    assert relative_entropy(weights) == pytest.approx([1, 0, 0.5])
    assert relative_entropy(np.ones((2, 1))).tolist() == [1, 1]


def test_sharpness_is_a_mean_over_tokens_of_the_mean_head() -> None:
    # The first token's heads disagree: their mean has entropy 1/2. The second token is uniform.
    weights = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]], [[0.25] * 4, [0.25] * 4]])
    scores = AttentionScores()
    scores.update_boxes(weights, [(0, 1), (1, 2)], Target("a b"), Grid(2, 2))
    found = scores.compute()
    assert found == pytest.approx({"attention_entropy": 0.75, "attention_peak": 0.375})
