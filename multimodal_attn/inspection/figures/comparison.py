"""Several runs side by side: a small panel for each measure, a bar for each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import shorten

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from multimodal_attn.measures import headline, measure, shown

DPI = 110
COLUMNS = 4


def draw_comparison(runs: Sequence[str], measures: Mapping[str, Sequence[float | None]]) -> Figure:
    """Draws all measures, each on a scale of its own; a run without a measure has no bar there.

    Args:
        runs: their names. The best by the first headline figure stands at the top.
        measures: name -> a value for each run.
    """
    order = _best_first(len(runs), measures)
    runs = [runs[place] for place in order]
    measures = {name: [values[place] for place in order] for name, values in measures.items()}
    rows = max(1, math.ceil(len(measures) / COLUMNS))
    height = 0.75 + 0.24 * len(runs)
    figure = Figure(figsize=(3.1 * COLUMNS + 1.5, height * rows), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    places = range(len(runs))
    for number, (name, values) in enumerate(measures.items()):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
        told, arrow = measure(name), {"higher": " ↑", "lower": " ↓", None: ""}[measure(name).better]
        bars = axes.barh([place for place, _ in known], [value for _, value in known], color="#0b6e80", height=0.7)
        axes.bar_label(bars, [shown(name, value) for _, value in known], fontsize=7, padding=2)
        axes.margins(x=0.2)
        axes.axvline(0, color="#333333", linewidth=0.8)
        first_in_row = number % COLUMNS == 0
        axes.set_yticks(places, [shorten(run, 32, placeholder="…") if first_in_row else "" for run in runs], fontsize=8)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.set_ylim(len(runs) - 0.5, -0.5)
        axes.xaxis.set_visible(False)  # every bar has its figure
        axes.tick_params(axis="y", length=0)
        axes.set_title(f"{told.title}{arrow}", fontsize=8.5, parse_math=False)
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    return figure


def _best_first(number: int, measures: Mapping[str, Sequence[float | None]]) -> list[int]:
    """Places of the runs; those without the figure that decides come last, in their own order."""
    deciding = next((found for found in headline(dict.fromkeys(measures, 0.0)) if found.better), None)
    if deciding is None:
        return list(range(number))
    sign = -1 if deciding.better == "higher" else 1
    values = [math.inf if value is None else sign * value for value in measures[deciding.name]]
    return sorted(range(number), key=values.__getitem__)
