"""What every tokens-by-positions matrix has around it: a headline, labels for its rows, the scale of its colors."""

from __future__ import annotations

from textwrap import shorten

import numpy as np

from multimodal_attn.inspection.figures.canvas import Area, Canvas
from multimodal_attn.inspection.figures.colors import heat_colors
from multimodal_attn.prediction.prediction import Prediction

LEFT_MARGIN, RIGHT_MARGIN, FOOTER = 0.95, 2.35, 0.95
GRAY = "#555555"


class TokenRows:
    """Where the tokens of a hypothesis lie on the sheet, a row each.

    Args:
        tokens: how many.
        left, top, right: of the matrix; its bottom follows from the rows.

    Attributes:
        matrix: the area of all rows.
        row_inches: height of a row.
        height: of the sheet.
    """

    def __init__(self, tokens: int, left: float, top: float, right: float) -> None:
        self.row_inches = min(0.2, 9.0 / max(tokens, 1))
        self.rows = max(tokens, 1)
        self.matrix: Area = (left, top, right, top + max(self.row_inches * tokens, 0.9))
        self.height = self.matrix[3] + FOOTER

    def y(self, row: float) -> float:
        """Of the upper edge of a row; + 0.5 for its middle."""
        _, top, _, bottom = self.matrix
        return top + row / self.rows * (bottom - top)


def headline(canvas: Canvas, prediction: Prediction) -> None:
    """The text, and under it the reference, the score and what looks wrong."""
    text = shorten(prediction.text, 90, placeholder=" …") or "(empty hypothesis)"
    reference = prediction.references[0] if prediction.references else "(none)"
    flags = f" · {', '.join(prediction.flags)}" if prediction.flags else ""
    canvas.text(0.15, 0.12, text, 13, bold=True)
    line = shorten(f"reference: {reference}", 100, placeholder=" …")
    canvas.text(0.15, 0.42, f"{line} · score {prediction.score:.3g}{flags} · {prediction.key}", 9, GRAY)


def label_tokens(canvas: Canvas, rows: TokenRows, prediction: Prediction) -> None:
    """Each token at its row, or, where rows are too narrow to read, each word."""
    points = min(9.0, rows.row_inches * 72 * 0.85)
    if points >= 5:
        labels = [(row + 0.5, token) for row, token in enumerate(prediction.tokens)]
    else:
        points = 7
        labels = [
            ((first + last) / 2, shorten(word, 16, placeholder="…")) for word, first, last in prediction.word_tokens
        ]
    for row, label in labels:
        canvas.text(rows.matrix[0] - 0.05, rows.y(row), label, points, anchor="rm")


def label_words(canvas: Canvas, rows: TokenRows, prediction: Prediction) -> None:
    """Word, entropy and peak in the right margin, with a bracket over the word's rows."""
    left, _, right, _ = rows.matrix
    free_from = -np.inf  # labels need a tenth of an inch each, more than a one-token word may have
    for index, (word, first, last) in enumerate(prediction.word_tokens):
        x = right + 0.06
        canvas.line((x, rows.y(first + 0.15)), (x, rows.y(last - 0.15)), "#888888", 1.5)
        middle = max((first + last) / 2, free_from)
        free_from = middle + 0.13 / rows.row_inches
        canvas.text(
            right + 0.15,
            rows.y(middle),
            f"{shorten(word, 16, placeholder='…')}   entropy {prediction.entropy[index]:.2f} · "
            f"peak {prediction.peak[index]:.2f}",
            8,
            anchor="lm",
        )
        if first > 0:
            canvas.line((left, rows.y(first)), (right, rows.y(first)), "#ffffff59", 0.5)


def scale(canvas: Canvas, area: Area, limit: float, uniform: float) -> None:
    """The colors from 0 to ``limit``, with a mark at the weight of a uniform map."""
    left, top, right, bottom = area
    canvas.picture(heat_colors(np.linspace(0, limit, 256, dtype=np.float32)[None], limit), area)
    mark = left + min(uniform / limit, 1.0) * (right - left)
    canvas.line((mark, top), (mark, bottom), "#ffffff")
    for share, label in ((0.0, "0"), (0.5, f"{limit / 2:.2g}"), (1.0, f"{limit:.2g}")):
        x = left + share * (right - left)
        canvas.line((x, bottom), (x, bottom + 0.03), "#000000", 0.8)
        canvas.text(x, bottom + 0.05, label, 7.5, anchor="ma")
