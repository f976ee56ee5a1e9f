"""The tokens of a source text over the tokens-by-tokens matrix of attention (Bahdanau et al. 2015, figure 3)."""

from __future__ import annotations

from textwrap import shorten

from PIL import Image

from multimodal_attn.inspection.figures.canvas import Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, heat_colors, heat_limit
from multimodal_attn.inspection.figures.token_rows import (
    GREY,
    LEFT_MARGIN,
    RIGHT_MARGIN,
    TokenRows,
    draw_scale,
    headline,
    label_tokens,
    label_words,
)
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import TokenAxis

_HEADER = 0.75
_UPRIGHT = 2  # characters that a column has room for
_COLUMN_INCHES, _LEAST_INCHES, _MOST_INCHES = 0.22, 5.2, 13.0  # of a column, and of all of them


def draw_matrix(record: Prediction, limit: float | None = None) -> Image.Image:
    """A column for each token that was read, a row of weights for each token that was written.

    Args:
        record: of a TokenAxis layout.
        limit: weight at the top of the colour scale, which all tokens share; the record's largest weight if None.

    Raises:
        ValueError: if the record's layout is no TokenAxis.
    """
    if not isinstance(record.layout, TokenAxis):
        raise ValueError(f"{record.key}: a matrix needs a TokenAxis layout, not {type(record.layout).__name__}")
    limit = limit or heat_limit([record])
    columns = record.weights.shape[2]
    width = min(max(_COLUMN_INCHES * columns, _LEAST_INCHES), _MOST_INCHES)
    points = min(9.0, width / max(columns, 1) * 72 * 0.85)
    names = [shorten(str(token), 14, placeholder="…") for token in (record.source if points >= 4 else ())]
    longest = max((len(name) for name in names if len(name) > _UPRIGHT), default=1)
    labels = 0.15 + 0.65 * longest * points / 72
    rows = TokenRows(record.weights.shape[0], LEFT_MARGIN, _HEADER + labels, LEFT_MARGIN + width)
    left, top, right, bottom = rows.matrix
    canvas = Canvas(right + RIGHT_MARGIN, rows.height)
    headline(canvas, record)
    weights = record.weights.mean(axis=1)
    if weights.size:
        canvas.picture(heat_colors(weights, limit), rows.matrix)
    else:
        canvas.text((left + right) / 2, (top + bottom) / 2, "no token, no weights", 10, anchor="mm")
    for column, name in enumerate(names):
        x = left + (column + 0.5) / columns * width
        if len(name) > _UPRIGHT:
            canvas.text_upwards(x, top - 0.05, name, points)
        else:
            canvas.text(x, top - 0.08, name, points, anchor="ms")  # on one line, whatever hangs below it
    for index, ranges in record.links.items():
        _, first, last = record.word_tokens[index]
        for start, stop in ranges:
            edges = left + start / columns * width, left + stop / columns * width
            canvas.frame((edges[0], rows.y(first), edges[1], rows.y(last)), TRUTH, 1.4)
    label_tokens(canvas, rows, record)
    label_words(canvas, rows, record)
    canvas.frame(rows.matrix, "#000000", 0.8)
    draw_scale(canvas, (left, rows.height - 0.34, left + 2.2, rows.height - 0.22), limit, 1 / max(columns, 1))
    canvas.text(
        left + 2.45,
        rows.height - 0.28,
        "attention weight of a source token, one scale for all (white line: a uniform map)\n"
        "entropy: 1 = uniform, 0 = a single token · peak: largest weight"
        f"{' · frames: where the words truly come from' if record.links else ''}",
        7.5,
        GREY,
        anchor="lm",
    )
    return canvas.image
