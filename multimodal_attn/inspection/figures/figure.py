"""The static picture of one record: the renderer that belongs to its layout."""

from __future__ import annotations

from PIL import Image

from multimodal_attn.inspection.figures.matrix import draw_matrix
from multimodal_attn.inspection.figures.overlay import draw_overlay
from multimodal_attn.inspection.figures.timeline import draw_timeline
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Grid, Timeline, TokenAxis


def draw(record: Prediction, limit: float | None = None) -> Image.Image:
    """Draws a record.

    Args:
        record: what one example's attention did.
        limit: weight at the top of the colour scale; the record's own largest weight if None. Give
            ``colors.heat_limit(records)`` for pictures that are to be compared.

    Raises:
        ValueError: if there is no picture for the record's layout.
    """
    match record.layout:
        case Grid():
            return draw_overlay(record, limit=limit)
        case Timeline():
            return draw_timeline(record, limit=limit)
        case TokenAxis():
            return draw_matrix(record, limit=limit)
