"""Runs side by side: which does its task best, what it costs, and what its attention is worth."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from multimodal_attn.measures import Measure, measure, shown

DPI = 110
_BEST, _OTHER, _SAME, _SEED, _BASELINE = "#0b6e80", "#6b98a3", "#3f8f9d", "#14343b", "#b23a1e"
_SMALLEST, _LARGEST = 90.0, 420.0  # areas of dots, in square points
_TICKS = 6  # at most, so that their labels do not meet
_MANY_TIMES = 8  # as much is the largest error, from which on a scale is logarithmic


class Row(NamedTuple):
    """One row, of a run or of several that differ in their seed.

    Attributes:
        label: its name.
        scores: the task's score of each run.
        interval: 95 % of their mean.
        attention: what the attention of each run is worth.
        step_ms: time of a training step; None where it was not logged.
        same: whether its score does not differ from that of the first row.
    """

    label: str
    scores: list[float]
    interval: tuple[float, float] | None
    attention: list[float]
    step_ms: float | None
    same: bool


def draw_comparison(
    rows: Sequence[Row], score: Measure | None, attention: Measure | None, baseline: float | None
) -> Figure:
    """The task's score of every row with its interval, the best on top; beside it score against attention.

    Both axes run toward what is better: to the right and up. A small dot is a run, a large one the mean of its row. In
    the panel on the right its area is the time of a training step, and its number that of the row.

    Args:
        rows: the best first.
        score: of the task; None where there is none to rank by.
        attention: a figure of attention with a better and a worse; without one there is no second panel.
        baseline: of the attention.
    """
    height = 1.5 + max(2.6, 0.36 * len(rows))
    both = score is not None and attention is not None and any(row.scores and row.attention for row in rows)
    figure = Figure(figsize=(12.4 if both else 7.4, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    left, *others = figure.subplots(1, 2, width_ratios=(1.15, 1), squeeze=False)[0] if both else [figure.add_subplot()]
    _draw_scores(left, rows, score)
    if both and score is not None and attention is not None:
        _draw_attention(others[0], rows, score, attention, baseline)
    return figure


def _draw_scores(axes: Axes, rows: Sequence[Row], score: Measure | None) -> None:
    for place, row in enumerate(rows):
        if not row.scores or score is None:
            continue
        mean = sum(row.scores) / len(row.scores)
        color = _BEST if place == 0 else _SAME if row.same else _OTHER
        ends = [*row.scores, *(row.interval or ())]
        if row.interval is not None:
            axes.hlines(place, *row.interval, color=color, linewidth=3, alpha=0.55)
        axes.plot([mean], [place], "o", color=color, markersize=9)
        if len(row.scores) > 1:
            axes.plot(row.scores, [place] * len(row.scores), "o", color=_SEED, markersize=2.6)
        text = ("≈ " if row.same else "") + shown(score.name, mean)
        at = min(ends) if score.better == "lower" else max(ends)
        axes.annotate(text, (at, place), (7, 0), textcoords="offset points", va="center", fontsize=8)
    names = [f"{fill(row.label, 44, max_lines=2, placeholder='…')}  {place}" for place, row in enumerate(rows, start=1)]
    axes.set_yticks(range(len(rows)), names, fontsize=8.5)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.18)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if score is not None:
        _label(axes, "x", score, [value for row in rows for value in row.scores])
    told = "line: 95 % interval" + ("; small dots: runs" if any(len(row.scores) > 1 for row in rows) else "")
    told += "; ≈ does not differ from row 1" if any(row.same for row in rows) else ""
    axes.set_title(told, fontsize=8, color="#555555")


def _draw_attention(
    axes: Axes, rows: Sequence[Row], score: Measure, attention: Measure, baseline: float | None
) -> None:
    steps = [row.step_ms for row in rows if row.step_ms is not None]
    numbers: dict[tuple[float, float], list[str]] = {}  # of the rows at a place
    for place, row in enumerate(rows):
        if not (row.scores and row.attention):
            continue
        x, y = sum(row.scores) / len(row.scores), sum(row.attention) / len(row.attention)
        area = 130.0 if row.step_ms is None or not steps else _area(row.step_ms, steps)
        color = _BEST if place == 0 else _SAME if row.same else _OTHER
        axes.scatter([x], [y], s=area, color=color, alpha=0.8, edgecolor="white", linewidth=0.8)
        if len(row.scores) == len(row.attention) > 1:
            for score_of_run, attention_of_run in zip(row.scores, row.attention, strict=True):
                axes.plot([x, score_of_run], [y, attention_of_run], color=color, linewidth=0.8, zorder=0)
            axes.plot(row.scores, row.attention, "o", color=_SEED, markersize=2.6)
        numbers.setdefault((x, y), []).append(str(place + 1))
    for at, found in numbers.items():
        if len(found) == 1:
            axes.annotate(found[0], at, ha="center", va="center", fontsize=7.5, color="white", weight="bold")
        else:  # such as evaluations of one run
            axes.annotate(
                ", ".join(found), at, (14, 0), textcoords="offset points", va="center", fontsize=7.5, weight="bold"
            )
    if baseline is not None and isinstance(attention.baseline, str):
        axes.axhline(baseline, color=_BASELINE, linewidth=1, linestyle="--")
        name = measure(attention.baseline).title
        axes.annotate(
            f"{name}: {shown(attention.name, baseline)}",
            *((0.99, baseline), (0, 3)),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=_BASELINE,
        )
    if steps:
        for value in sorted({min(steps), max(steps)}):
            axes.scatter([], [], s=_area(value, steps), color=_OTHER, alpha=0.8, label=shown("step_ms", value))
        axes.legend(title="training step", fontsize=8, title_fontsize=8, loc="best", labelspacing=1.2, frameon=False)
    axes.margins(0.15)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    shown_rows = [row for row in rows if row.scores and row.attention]
    _label(axes, "x", score, [value for row in shown_rows for value in row.scores])
    _label(axes, "y", attention, [value for row in shown_rows for value in row.attention])
    axes.set_title("numbers: rows of the left panel", fontsize=8, color="#555555")


def _area(value: float, values: Sequence[float]) -> float:
    """Of a dot: in proportion to the time, so that twice the area is twice the time."""
    return max(_SMALLEST, _LARGEST * value / max(values))


def _label(axes: Axes, which: Literal["x", "y"], found: Measure, values: Sequence[float]) -> None:
    """Names an axis and turns it so that better is to the right, or up; errors of many sizes on a logarithmic scale."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    lower = found.better == "lower"
    if lower and values and 0 < _MANY_TIMES * min(values) < max(values):
        axes.set(**{f"{which}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(_TICKS, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda value, _: _tick(found, value, axis.get_majorticklocs().tolist()))
    axis.set_tick_params(labelsize=8)
    axis.set_label_text(f"{found.title}   better {'→' if which == 'x' else '↑'}", fontsize=9)
    if lower:
        axis.set_inverted(True)


def _tick(found: Measure, value: float, places: Sequence[float]) -> str:
    """A round number as ``shown`` writes it, without trailing zeros after the point; closer ones with more digits."""
    number, space, unit = shown(found.name, value).partition(" ")
    if len({shown(found.name, place) for place in places}) < len(places):
        scaled = 100 * value if found.unit == "share" else value
        return f"{scaled:.4g}{space}{unit}"
    return (number.rstrip("0").rstrip(".") if "." in number else number) + space + unit
