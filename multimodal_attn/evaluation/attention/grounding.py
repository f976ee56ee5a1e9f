"""Whether a map over a picture lies on what a word names: measures of one map against the word's true boxes."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from multimodal_attn.types import Box, Grid

_CENTER_SIGMA = 0.25  # width of the center prior, in sides of the picture


class Grounding(NamedTuple):
    """What maps are worth; each is in [0, 1].

    Attributes:
        hit: (...) 1 if the cell of most weight points at a box; the share that does where several have the most weight.
        mass: (...) the weight on all cells that point at a box.
        iou: (...) of these cells and of the cells with at least half of the largest weight: both over either.
    """

    hit: np.ndarray
    mass: np.ndarray
    iou: np.ndarray


def ground(weights: np.ndarray, cells: np.ndarray) -> Grounding:
    """Compares each map with the cells that are right for it, as ``hit_cells`` gives them.

    The threshold of the overlap is half of the map's maximum, fixed in advance: choosing the best threshold for each
    map would be choosing by the truth.

    Shapes:
        weights: (..., S) of some words, or (S,) of all of them. cells: (..., S) bool.
    """
    weights = np.nan_to_num(weights).astype(np.float64)
    bright = weights >= 0.5 * weights.max(axis=-1, keepdims=True)
    overlap = (bright & cells).sum(-1) / (bright | cells).sum(-1)
    tops = peaks(weights)
    hit = (tops & cells).sum(-1) / tops.sum(-1)
    return Grounding(hit, (weights * cells).sum(-1), overlap)


def hit_cells(grid: Grid, boxes: tuple[Box, ...]) -> np.ndarray:
    """Which cells point at any of the boxes.

    A cell does if, along both axes, its center lies in the box or the box's center lies in it. For a box larger than
    a cell this asks for the cell's center alone; a box that slips between the centers still has the cells over it.

    Shapes:
        Returns (S,) bool.
    """
    hits = np.zeros((grid.rows, grid.columns), dtype=bool)
    for box in boxes:
        down = _covers(grid.rows, box.top, box.bottom)
        across = _covers(grid.columns, box.left, box.right)
        hits |= down[:, None] & across[None, :]
    return hits.ravel()


def _covers(number: int, first: float, last: float) -> np.ndarray:
    """Of ``number`` equal intervals on [0, 1], those whose center lies in [first, last] or that hold its center."""
    edges = np.arange(number) / number
    centers = edges + 0.5 / number
    # The last interval holds its right edge too, or a box on the picture's border would lie in none.
    holder = min(int((first + last) / 2 * number), number - 1)
    return ((centers >= first) & (centers <= last)) | (np.arange(number) == holder)


def pointing_hit(weights: np.ndarray, grid: Grid, boxes: tuple[Box, ...]) -> float:
    """1 if the cell of most weight points at a true box (see ``hit_cells``), else 0.

    If several cells share the most weight, it is the share of these that hit: a uniform map is right as often as
    chance, not as often as the top left corner.

    Shapes:
        weights: (S,) of one word.
    """
    return float(hit_cells(grid, boxes)[peaks(weights)].mean())


def peaks(weights: np.ndarray) -> np.ndarray:
    """The cells of most weight, more than one where they are equal but for rounding.

    Shapes:
        weights: (..., S). Returns (..., S) bool, at least one True in each row.
    """
    weights = np.nan_to_num(weights)
    # Softmax of equal scores differs in its last digits.
    return weights >= weights.max(axis=-1, keepdims=True) * (1 - 1e-5)


@cache
def center_prior(grid: Grid) -> np.ndarray:
    """A map that needs no model: a Gaussian around the middle of the picture, a quarter of its side wide.

    Its cells of most weight are the middle one; the two or four around the middle where the grid has an even side.

    Shapes:
        Returns (S,), summing to 1; always the same array for a grid.
    """
    down = ((np.arange(grid.rows) + 0.5) / grid.rows - 0.5) / _CENTER_SIGMA
    across = ((np.arange(grid.columns) + 0.5) / grid.columns - 0.5) / _CENTER_SIGMA
    weights = np.exp(-0.5 * (down[:, None] ** 2 + across[None, :] ** 2)).ravel()
    return weights / weights.sum()
