from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.evaluation.attention.cells.base import Text
from multimodal_attn.evaluation.attention.cells.pictures import PictureCells
from multimodal_attn.types import Box, Grid, Target


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, S): each token looks at one position."""
    return np.eye(size)[list(positions)]


def test_pointing_scores() -> None:
    target = Target("a dog and cat", boxes={1: (Box(0, 0, 1 / 3, 1 / 3),), 3: (Box(1 / 3, 1 / 3, 1, 1),), 0: ()})
    # Two tokens for "dog", of which the first looks at two cells alike.
    weights = (one_hot(9, 5, 0, 0, 2, 1) + one_hot(9, 5, 8, 0, 2, 1)) / 2
    scores = PictureCells()
    scores.compare(Text(weights, [(0, 1), (1, 3), (3, 4), (4, 5)]), target, Grid(3, 3))
    found = scores.compute()
    assert found["pointing_accuracy"] == pytest.approx(1 / 2)  # the dog is found, the cat is not
    assert found["pointing_num_words"] == 2
    assert found["pointing_uniform"] == pytest.approx((1 / 9 + 4 / 9) / 2)
    assert found["pointing_center"] == pytest.approx(1 / 2)
    assert PictureCells().compute() == {}


def test_center_of_an_even_grid_is_four_cells() -> None:
    scores = PictureCells()
    scores.compare(Text(np.full((1, 16), 1 / 16), [(0, 1)]), Target("dog", {0: (Box(0, 0, 0.5, 0.5),)}), Grid(4, 4))
    assert scores.compute()["pointing_center"] == pytest.approx(1 / 4)


def test_a_cut_off_caption_counts_only_its_words() -> None:
    target = Target("dog cat", boxes={0: (Box(0, 0, 1, 1),), 1: (Box(0, 0, 1, 1),)})
    scores = PictureCells()
    scores.compare(Text(np.full((1, 4), 0.25), [(0, 1)]), target, Grid(2, 2))
    assert scores.compute()["pointing_num_words"] == 1


def test_the_map_of_the_next_token() -> None:
    target = Target("a dog", boxes={0: (Box(0, 0, 0.5, 0.5),), 1: (Box(0.5, 0.5, 1, 1),)})
    weights = one_hot(4, 3, 0)
    scores = PictureCells()
    scores.compare(Text(weights, [(0, 1), (1, 2)], one_hot(4, 3)[0]), target, Grid(2, 2))
    found = scores.compute()
    assert found["pointing_accuracy"] == 0  # it looks at each thing one token late
    assert found["pointing_accuracy_next"] == 1
    assert found["box_mass_gain"] == pytest.approx(-1 / 4)
    assert found["box_mass_gain_next"] == pytest.approx(3 / 4)
    assert found["box_iou_next"] == 1
    assert found["box_mass_uniform"] == found["box_iou_uniform"] == pytest.approx(1 / 4)
    assert found["box_mass_gain_center"] == pytest.approx(0)


def test_the_last_word_has_no_next_map_without_the_ending() -> None:
    scores = PictureCells()
    scores.compare(Text(one_hot(4, 0), [(0, 1)]), Target("dog", {0: (Box(0, 0, 1, 1),)}), Grid(2, 2))
    assert "pointing_accuracy_next" not in scores.compute()


def test_a_region_of_a_picture_gets_the_mean_color() -> None:
    picture = torch.zeros(1, 3, 4, 6, dtype=torch.uint8)
    picture[:, 1, :, 3:] = 100
    removed = torch.tensor([[False, False, False, True]])  # the lower right quarter
    found = PictureCells.remove(picture, removed, Grid(2, 2), 1)
    assert found[0, 1, 2:, 3:].unique().tolist() == [50]
    assert found[0, 1, :2].equal(picture[0, 1, :2])
    assert found[0, 1, 2:, :3].equal(picture[0, 1, 2:, :3])
