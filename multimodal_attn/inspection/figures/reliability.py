"""Reliability of confidence: of the words with a confidence of 80 %, how many are right (DeGroot & Fienberg 1983)."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from multimodal_attn.evaluation.confidence import NUM_BINS, Reliability
from multimodal_attn.measures import shown

DPI = 110
_COLORS = {"plain": "#c77700", "calibrated": "#0b6e80"}


def draw_reliability(reliability: Reliability) -> Figure:
    """Two panels side by side, plain probability and confidence: the share of right words over what was claimed.

    The dot of a bin is as large as its share of the words; on the diagonal, what is claimed is what holds. Below it the
    model is surer than it is right.
    """
    figures = reliability.figures()
    figure = Figure(figsize=(8.8, 4.4), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = (
        ("plain", f"Probability that the model gave, error {shown('wer', figures['confidence_error_plain'])}"),
        ("calibrated", f"Confidence, error {shown('wer', figures['confidence_error'])}"),
    )
    for place, (name, title) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, 2, place)
        number, claimed, right = reliability.bins(getattr(reliability, name)).T
        axes.plot([0, 1], [0, 1], color="#777777", linewidth=1)
        axes.vlines(claimed, claimed, right, color=_COLORS[name], linewidth=1.5, alpha=0.6)
        sizes = 12 + 500 * number / max(number.sum(), 1)
        axes.scatter(claimed, right, s=sizes, color=_COLORS[name], alpha=0.75, clip_on=False)  # whole at 100 %
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.05, 1.05)
        axes.set_aspect("equal")
        axes.grid(alpha=0.25)
        ticks = np.linspace(0, 1, 6)
        axes.set_xticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks], fontsize=8)
        axes.set_yticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks], fontsize=8)
        axes.set_xlabel("claimed", fontsize=9)
        axes.set_title(title, fontsize=10)
        if place == 1:
            axes.set_ylabel("right", fontsize=9)
    words = f"{len(reliability.right)} words in {NUM_BINS} bins; the larger a dot, the more of them"
    figure.suptitle(f"{words}. Temperature {reliability.temperature:.2f}", fontsize=9, color="#555555")
    return figure
