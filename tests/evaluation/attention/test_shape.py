from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.evaluation.attention.shape import sink_share, text_shape
from multimodal_attn.prediction.entropy import effective_cells, relative_entropy


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, S): each token looks at one position."""
    return np.eye(size)[list(positions)]


def test_entropy_is_relative_to_the_number_of_positions() -> None:
    weights = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    assert relative_entropy(weights) == pytest.approx([1, 0, 0.5])
    assert relative_entropy(np.ones((2, 1))).tolist() == [1, 1]


def test_effective_cells() -> None:
    weights = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    assert effective_cells(weights) == pytest.approx([4, 1, 2])


def test_a_uniform_map() -> None:
    weights = np.full((3, 5), 0.2) + 1e-9 * np.random.default_rng(0).standard_normal((3, 5))
    shape = text_shape(weights, ordered=True)
    # Nothing gets more than the uniform share, so that there is nothing to come back to or to leave out.
    assert shape == pytest.approx({"coverage": 0, "top_cell": 0.2, "monotonicity": 1, "diagonality": 0})


def test_walking_along() -> None:
    shape = text_shape(one_hot(6, 0, 1, 2, 3, 4, 5), ordered=True)
    expected = {"coverage": 1, "top_cell": 1 / 6, "monotonicity": 1, "diagonality": 1, "repeats": 0, "skips": 0}
    assert shape == pytest.approx(expected)
    assert text_shape(one_hot(6, 5, 4, 3, 2, 1, 0), ordered=True)["monotonicity"] == 0
    assert text_shape(one_hot(6, 5, 4, 3, 2, 1, 0), ordered=True)["diagonality"] == pytest.approx(-1)


def test_stuck_in_a_cell() -> None:
    shape = text_shape(one_hot(8, 3, 3, 3), ordered=True)
    expected = {"coverage": 1 / 8, "top_cell": 1, "monotonicity": 1, "diagonality": 0, "repeats": 0, "skips": 0}
    assert shape == pytest.approx(expected)


def test_repeats_and_skips_by_hand() -> None:
    shape = text_shape(one_hot(10, 1, 2, 2, 1, 5), ordered=True)
    assert shape["coverage"] == pytest.approx(3 / 10)
    assert shape["top_cell"] == pytest.approx(2 / 5)
    assert shape["monotonicity"] == pytest.approx(3 / 4)
    assert shape["repeats"] == pytest.approx(1 / 3)  # cell 1 is left and visited again; 2 is held, not visited twice
    assert shape["skips"] == pytest.approx(2 / 5)  # of cells 1 to 5, nobody looks at 3 and 4


def test_a_picture_has_no_order() -> None:
    assert set(text_shape(one_hot(4, 0, 2), ordered=False)) == {"coverage", "top_cell"}


def test_one_token_has_no_direction() -> None:
    assert set(text_shape(one_hot(4, 2), ordered=True)) == {"coverage", "top_cell", "repeats", "skips"}


def test_what_cells_without_order_leave_unchanged() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        weights = generator.dirichlet(np.full(9, 0.3), size=5)
        moved = weights[:, generator.permutation(9)]
        assert relative_entropy(moved) == pytest.approx(relative_entropy(weights))
        assert effective_cells(moved) == pytest.approx(effective_cells(weights))
        before, after = text_shape(weights, ordered=True), text_shape(moved, ordered=True)
        for name in ("coverage", "top_cell", "repeats"):
            assert after[name] == pytest.approx(before[name])


def test_mirrored_time_mirrors_the_order() -> None:
    weights = 0.6 * one_hot(9, 2, 7, 3, 8, 0) + 0.4 * np.random.default_rng(1).dirichlet(np.full(9, 0.3), size=5)
    before, after = text_shape(weights, ordered=True), text_shape(weights[:, ::-1], ordered=True)
    assert after["diagonality"] == pytest.approx(-before["diagonality"])
    assert after["monotonicity"] == pytest.approx(1 - before["monotonicity"])
    assert after["skips"] == pytest.approx(before["skips"])


def test_a_sink_is_what_every_word_attends_to() -> None:
    border = np.array([0.6, 0.1, 0.1, 0.1, 0.1])
    words = np.stack([0.6 * np.eye(5)[0] + 0.4 * np.eye(5)[word] for word in (1, 2, 3, 4)])
    assert sink_share(words) == pytest.approx(0.6)
    assert sink_share(np.stack([border] * 3)) == pytest.approx(0.6)  # the other cells have less than their share
    assert sink_share(np.eye(5)[[1, 2, 3]]) == 0
    assert sink_share(np.full((4, 5), 0.2)) == 0  # uniform: no cell is attended
    assert sink_share(np.stack([np.linspace(0.9, 1.1, 50) / 50] * 5)) == 0  # nearly uniform: no cell stands out
    assert sink_share(words[:2]) is None


def test_of_ten_words_one_may_look_elsewhere() -> None:
    words = np.stack([0.6 * np.eye(5)[0] + 0.4 * np.eye(5)[1 + word % 4] for word in range(9)] + [np.eye(5)[2]])
    assert sink_share(words) == pytest.approx(0.6)
    assert sink_share(words[1:]) == 0  # of nine none
