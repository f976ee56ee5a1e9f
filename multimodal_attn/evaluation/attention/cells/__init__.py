"""What the cells of each kind of layout stand for; the one place where evaluation asks what was read."""

from __future__ import annotations

from typing import Any

from multimodal_attn.evaluation.attention.cells.base import Cells
from multimodal_attn.evaluation.attention.cells.pictures import PictureCells
from multimodal_attn.evaluation.attention.cells.recordings import RecordingCells
from multimodal_attn.evaluation.attention.cells.texts import TextCells
from multimodal_attn.types import Grid, Layout, Timeline, TokenAxis

_BY_LAYOUT: dict[type, type[Cells[Any]]] = {Grid: PictureCells, Timeline: RecordingCells, TokenAxis: TextCells}


def cells_of(layout: Layout) -> type[Cells[Any]]:
    """The kind of cells that memories of this layout have.

    Raises:
        ValueError: if evaluation knows no such layout.
    """
    if type(layout) not in _BY_LAYOUT:
        known = ", ".join(kind.__name__ for kind in _BY_LAYOUT)
        raise ValueError(f"layout: evaluation knows no {type(layout).__name__}; expected one of {known}")
    return _BY_LAYOUT[type(layout)]
