"""A prediction for a person: as a matplotlib figure, or as the interactive page in a notebook's cell."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from multimodal_attn.inspection.figures.canvas import DPI
from multimodal_attn.inspection.page.page import render_page
from multimodal_attn.inspection.views import view_of
from multimodal_attn.prediction.prediction import Prediction

PIXELS = 860


class NotebookView:
    """What ``Prediction.plot`` and notebooks show a prediction with."""

    def figure(self, prediction: Prediction) -> Figure:
        """See ``figure_of``."""
        return figure_of(prediction)

    def html(self, prediction: Prediction) -> str:
        """See ``html_of``."""
        return html_of([prediction])


def figure_of(prediction: Prediction, limit: float | None = None) -> Figure:
    """Every word and where the model looked for it, at the size at which it is drawn.

    Args:
        prediction: to show.
        limit: where the color scale ends; the prediction's own largest weight if None.

    Raises:
        ValueError: if nothing shows the prediction's layout.
    """
    import matplotlib.pyplot  # noqa: F401  # notebooks know how to show a figure when it has been imported

    sheet = np.asarray(view_of(prediction).draw(limit))
    height, width = sheet.shape[:2]
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(sheet, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return figure


def html_of(predictions: Sequence[Prediction], title: str = "", height: int = PIXELS) -> str:
    """The interactive page in a frame of its own, which needs nothing from outside.

    The frame's page may run its script and nothing else: it cannot reach the notebook around it.

    Args:
        predictions: one or several; their maps share a color scale.
        title: above them.
        height: of the frame in pixels; it scrolls, and can be pulled larger.

    Raises:
        ValueError: if nothing shows a prediction's layout.
    """
    page = html.escape(render_page(predictions, title))
    style = f"width:100%;height:{height}px;border:1px solid #ddd;border-radius:8px;resize:vertical"
    return f'<iframe title="attention" sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'
