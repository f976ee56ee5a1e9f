from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from multimodal_attn.prediction.times.onset_times import LONGEST_SPACE, onset_times
from multimodal_attn.types import Timeline

STEP = 0.1


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, S): each token looks at one position."""
    return np.eye(size)[list(positions)]


def test_words_begin_with_the_space_before_them() -> None:
    weights = one_hot(12, 2, 3, 5, 8)
    spans = onset_times(weights, Timeline(0.02), [(0, 2), (3, 4)])
    assert spans[0].start == pytest.approx(0.04)  # the two steps of silence belong to no word
    assert spans[1].start == pytest.approx(0.10)
    assert spans[1].end == pytest.approx(0.18)


def test_a_pause_belongs_to_no_word() -> None:
    weights = one_hot(12, 2, 3, 5, 8)  # the space lies 0.3 s before the word
    spans = onset_times(weights, Timeline(STEP), [(0, 2), (3, 4)])
    assert spans[1].start == pytest.approx(0.8 - LONGEST_SPACE)
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
