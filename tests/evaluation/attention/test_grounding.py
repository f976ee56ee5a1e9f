from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.evaluation.attention.grounding import center_prior, ground, hit_cells, peaks, pointing_hit
from multimodal_attn.types import Box, Grid


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        (Box(0, 0, 0.5, 0.5), [0, 1, 4, 5]),
        (Box(0, 0, 1, 1), list(range(16))),
        (Box(0.2, 0, 0.55, 0.25), [1]),  # overlaps three cells of the first row, holds one center
        (Box(0.51, 0.52, 0.6, 0.6), [10]),  # small, between centers: the cell that holds it
        (Box(0, 0.52, 1, 0.6), [8, 9, 10, 11]),  # a thin strip between the centers of rows
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


def test_a_map_by_hand() -> None:
    cells = np.array([True, True, False, False])
    found = ground(np.array([0.4, 0.15, 0.25, 0.2]), cells)
    assert found.hit == 1
    assert found.mass == pytest.approx(0.55)
    assert found.iou == pytest.approx(1 / 4)  # at least 0.2 have cells 0, 2 and 3; right is 0, missed 1


def test_known_maps() -> None:
    cells = np.arange(10) < 3
    assert ground(np.full(10, 0.1), cells) == pytest.approx((0.3, 0.3, 0.3))  # uniform: chance, in all three
    assert ground(np.eye(10)[1], cells) == pytest.approx((1, 1, 1 / 3))
    assert ground(np.eye(10)[5], cells) == (0, 0, 0)
    assert ground(np.where(cells, 1 / 3, 0), cells) == pytest.approx((1, 1, 1))


def test_cells_have_no_order() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        weights, cells = generator.dirichlet(np.full(12, 0.3)), generator.random(12) < 0.4
        order = generator.permutation(12)
        assert ground(weights[order], cells[order]) == pytest.approx(ground(weights, cells))


def test_random_maps_are_worth_as_much_as_a_uniform_one() -> None:
    generator = np.random.default_rng(0)
    cells = np.arange(12) < 3
    found = np.mean([ground(generator.dirichlet(np.full(12, 0.3)), cells) for _ in range(4000)], axis=0)
    assert found[:2] == pytest.approx([3 / 12] * 2, abs=0.02)


@pytest.mark.parametrize(("grid", "middle"), [(Grid(3, 3), [4]), (Grid(4, 4), [5, 6, 9, 10]), (Grid(3, 4), [5, 6])])
def test_the_center_prior_peaks_in_the_middle(grid: Grid, middle: list[int]) -> None:
    prior = center_prior(grid)
    assert prior.sum() == pytest.approx(1)
    assert np.flatnonzero(peaks(prior)).tolist() == middle
    assert prior.argmin() in (0, grid.columns - 1, len(prior) - grid.columns, len(prior) - 1)
