"""Several runs side by side: a small panel for each measure, a bar for each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import shorten

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 110
COLUMNS = 4


def draw_comparison(runs: Sequence[str], measures: Mapping[str, Sequence[float | None]]) -> Figure:
    """Draws all measures, each on a scale of its own; a run without a measure has no bar there.

    Args:
        runs: their names.
        measures: name -> a value for each run.
    """
    rows = max(1, math.ceil(len(measures) / COLUMNS))
    height = 0.75 + 0.24 * len(runs)
    figure = Figure(figsize=(3.1 * COLUMNS + 1.5, height * rows), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    places = range(len(runs))
    for number, (name, values) in enumerate(measures.items()):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
        bars = axes.barh([place for place, _ in known], [value for _, value in known], color="#0b6e80", height=0.7)
        axes.bar_label(bars, fmt="%.3g", fontsize=7, padding=2)
        axes.margins(x=0.2)
        axes.axvline(0, color="#333333", linewidth=0.8)
        first_in_row = number % COLUMNS == 0
        axes.set_yticks(places, [shorten(run, 32, placeholder="…") if first_in_row else "" for run in runs], fontsize=8)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.set_ylim(len(runs) - 0.5, -0.5)
        axes.tick_params(axis="x", labelsize=7)
        axes.tick_params(axis="y", length=0)
        axes.set_title(name, fontsize=8.5, parse_math=False)
        axes.spines[["top", "right", "left"]].set_visible(False)
    return figure
