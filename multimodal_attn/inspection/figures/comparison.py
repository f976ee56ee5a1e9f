"""Several runs side by side: a small panel for each measure, a bar for each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import fill, shorten

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from multimodal_attn.measures import Measure, measure, shown

DPI = 110
COLUMNS = 4
BAR, BEST_BAR = "#9cc9d1", "#0b6e80"


def draw_comparison(runs: Sequence[str], metrics: Sequence[Mapping[str, float]], measures: Sequence[Measure]) -> Figure:
    """Draws all measures, each on a scale of its own; a run without a measure has no bar there.

    The best bar of a panel is dark, where one way is better. A short line across a bar is the run's baseline.

    Args:
        runs: their names, in the order in which they stand in every panel.
        metrics: the figures of each run.
        measures: a panel each.
    """
    rows = max(1, math.ceil(len(measures) / COLUMNS))
    height = 0.75 + 0.24 * len(runs)
    figure = Figure(figsize=(3.1 * COLUMNS + 1.5, height * rows), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for number, found in enumerate(measures):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        values = {place: figures[found.name] for place, figures in enumerate(metrics) if found.name in figures}
        choose = {"higher": max, "lower": min}.get(found.better or "")
        best = choose(values.values()) if choose and values else None
        colors = [BEST_BAR if value == best else BAR for value in values.values()]
        bars = axes.barh(list(values), list(values.values()), color=colors, height=0.7)
        texts = [shown(found.name, value) for value in values.values()]
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}  # a number stays readable across a baseline
        axes.bar_label(bars, texts, fontsize=7, padding=3, bbox=paper)
        title = fill(found.title, 34)
        if isinstance(found.baseline, str):
            baselines = {place: metrics[place][found.baseline] for place in values if found.baseline in metrics[place]}
            for place, value in baselines.items():
                axes.vlines(value, place - 0.42, place + 0.42, color="#b23a1e", linewidth=1.6)
            title += f"\nred line: {measure(found.baseline).title.lower()}" if baselines else ""
        axes.margins(x=0.4)
        axes.axvline(0, color="#333333", linewidth=0.8)
        names = [shorten(run, 32, placeholder="…") if number % COLUMNS == 0 else "" for run in runs]
        axes.set_yticks(range(len(runs)), names, fontsize=8)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.set_ylim(len(runs) - 0.5, -0.5)
        axes.set_xticks([])  # the bars have their numbers
        axes.tick_params(axis="y", length=0)
        axes.set_title(title, fontsize=8.5, parse_math=False)
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    return figure
