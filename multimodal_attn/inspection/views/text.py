"""The tokens of a source text over the tokens-by-tokens matrix of attention (Bahdanau et al. 2015, figure 3)."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

from PIL import Image

from multimodal_attn.inspection.figures.canvas import Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, heat_colors
from multimodal_attn.inspection.figures.token_rows import (
    GRAY,
    LEFT_MARGIN,
    RIGHT_MARGIN,
    TokenRows,
    headline,
    label_tokens,
    label_words,
    scale,
)
from multimodal_attn.inspection.views.base import SourceView
from multimodal_attn.types import TokenAxis

_HEADER = 0.75
_UPRIGHT = 2  # characters that a column has room for
_COLUMN_INCHES, _LEAST_INCHES, _MOST_INCHES = 0.22, 5.2, 13.0  # of a column, and of all of them


class TextView(SourceView[TokenAxis]):
    """A column for each token that was read, a row of weights for each token that was written."""

    name = "text"

    def draw(self, limit: float | None = None) -> Image.Image:
        prediction, weights = self.prediction, self.shown_weights()
        limit = limit or float(weights.max(initial=0.0)) or 1.0
        columns = weights.shape[1]
        width = min(max(_COLUMN_INCHES * columns, _LEAST_INCHES), _MOST_INCHES)
        points = min(9.0, width / max(columns, 1) * 72 * 0.85)
        names = [shorten(str(token), 14, placeholder="…") for token in (prediction.source if points >= 4 else ())]
        longest = max((len(name) for name in names if len(name) > _UPRIGHT), default=1)
        labels = 0.15 + 0.65 * longest * points / 72
        rows = TokenRows(len(weights), LEFT_MARGIN, _HEADER + labels, LEFT_MARGIN + width)
        left, top, right, bottom = rows.matrix
        canvas = Canvas(right + RIGHT_MARGIN, rows.height)
        headline(canvas, prediction)
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
        for index, ranges in prediction.links.items():
            _, first, last = prediction.word_tokens[index]
            for start, stop in ranges:
                edges = left + start / columns * width, left + stop / columns * width
                canvas.frame((edges[0], rows.y(first), edges[1], rows.y(last)), TRUTH, 1.4)
        label_tokens(canvas, rows, prediction)
        label_words(canvas, rows, prediction)
        canvas.frame(rows.matrix, "#000000", 0.8)
        scale(canvas, (left, rows.height - 0.34, left + 2.2, rows.height - 0.22), limit, 1 / max(columns, 1))
        canvas.text(
            left + 2.45,
            rows.height - 0.28,
            "attention weight of a source token, one scale for all (white line: a uniform map)\n"
            "entropy: 1 = uniform, 0 = a single token · peak: largest weight"
            + ("\nframes: where the words truly come from" if prediction.links else ""),
            7.5,
            GRAY,
            anchor="lm",
        )
        return canvas.image

    def source(self) -> dict[str, Any]:
        return {"source": [str(token) for token in self.prediction.source]}

    def truth(self) -> dict[str, Any]:
        links = {index: ranges for index, ranges in sorted(self.prediction.links.items()) if ranges}
        return {"links": links, "copied": self.prediction.copied}
