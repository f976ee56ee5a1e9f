"""What the layers of self-attention read in one example, small enough to be kept and shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from multimodal_attn.types import Grid, Layout

CELLS = 64
"""That are kept of a source, or of a text."""


@dataclass(frozen=True)
class Head:
    """Figures of one head in one example, of its weights as they are.

    Attributes:
        figures: by name; see ``evaluation.attention.heads``.
        offsets: how many positions have their peak so far away: in positions, or in rows and columns of a picture.
    """

    figures: dict[str, float]
    offsets: Counter[Any] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reads:
    """What the heads of an encoder or a decoder read between positions.

    Attributes:
        part: whose layers they are.
        weights: (N, C, C) of each layer, first to last: rows read columns.
        heads: of each layer.
        shape: rows and columns of the cells among the C; one row where they have an order.
        extra: of the C, those before the cells: a class token.
        factor: how many positions are one cell, along each axis.
    """

    part: Literal["encoder", "decoder"]
    weights: list[np.ndarray]
    heads: list[list[Head]]
    shape: tuple[int, int]
    extra: int = 0
    factor: int = 1

    def pooled(self, cells: int) -> Reads:
        """With at most so many cells: neighbors become one, which reads their mean and is read as their sum."""
        factor, groups = self._groups(cells)
        if factor == 1:
            return self
        by_group = np.eye(groups.max() + 1, dtype=np.float32)[groups].T  # (cells that are left, C)
        mean = by_group / by_group.sum(axis=1, keepdims=True)
        rows, columns = (-(-side // factor) for side in self.shape)
        weights = [mean @ layer @ by_group.T for layer in self.weights]
        return replace(self, weights=weights, shape=(rows, columns), factor=self.factor * factor)

    def _groups(self, cells: int) -> tuple[int, np.ndarray]:
        """How many cells become one along each axis, and the new index of each of the C."""
        rows, columns = self.shape
        factor = 1
        while -(-rows // factor) * -(-columns // factor) > cells:
            factor += 1
        down, across = np.divmod(np.arange(rows * columns), columns)
        groups = down // factor * -(-columns // factor) + across // factor
        return factor, np.concatenate([np.arange(self.extra), self.extra + groups])


@dataclass(frozen=True)
class SelfAttention:
    """What the layers of one example read, and what its words are made of through all of them.

    Attributes:
        reads: of the encoder, the decoder or both.
        rollout: (W, S), for each word of the best text, by attention rollout down to the source.
    """

    reads: list[Reads]
    rollout: np.ndarray


def cells_of(layout: Layout, positions: int) -> tuple[int, int]:
    """``Reads.shape`` of so many positions."""
    return (layout.rows, layout.columns) if isinstance(layout, Grid) else (1, positions)
