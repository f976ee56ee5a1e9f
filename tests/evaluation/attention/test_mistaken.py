from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.attention.mistaken import looked_at
from multimodal_attn.prediction.true_boxes import things, true_boxes
from multimodal_attn.types import Box, Grid, Target

STAR, CRESCENT, SHELF = Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 1, 1), Box(0.5, 0, 1, 1)
TARGETS = [
    Target("a star on a shelf", boxes={1: (STAR,), 4: (SHELF,)}),
    Target("a star and a crescent", boxes={1: (STAR,), 4: (CRESCENT,)}),
]


def found(position: int) -> dict[int, str]:
    """Of the word "star" on a grid of 2 x 2, with its peak at a position."""
    words = ["star"]
    return looked_at(np.eye(4)[[position]], Grid(2, 2), true_boxes(words, TARGETS), things(TARGETS))


def test_it_looked_at_another_thing() -> None:
    assert found(3) == {0: "crescent"}  # which is smaller than the shelf that it lies on
    assert found(1) == {0: "shelf"}


def test_it_looked_where_it_says_or_at_nothing() -> None:
    assert found(0) == {}
    assert found(2) == {}  # a miss
