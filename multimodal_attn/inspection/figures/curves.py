"""Deletion and insertion curves: how a word's probability goes with the cells that are taken away or put in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 110
_PLACES = {"memory": "in the memory", "input": "in the source"}
_STYLES = {
    "attention": ("attention", "#b5367a", "-"),
    "gradient_attention": ("gradient × attention", "#0b6e80", "--"),
    "integrated_gradients": ("integrated gradients", "#5b6abf", ":"),
    "rollout": ("attention rollout", "#c77700", "-."),
    "random": ("random cells", "#777777", "-"),
}


def draw_curves(curves: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], shares: Sequence[float]) -> Figure:
    """One panel for each place and kind, all on one scale of log probability.

    Args:
        curves: place -> kind -> method -> mean log probability of a word at each share.
        shares: of the cells that are deleted or inserted.
    """
    panels = [(place, kind, lines) for place, kinds in curves.items() for kind, lines in kinds.items()]
    figure = Figure(figsize=(4.2 * max(len(panels), 1), 4.2), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    first = None
    for number, (place, kind, lines) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1, sharey=first)
        first = first or axes
        for method, values in lines.items():
            label, color, style = _STYLES[method]
            axes.plot([100 * share for share in shares], values, style, color=color, marker="o", ms=3, label=label)
        axes.set_title(f"{kind} {_PLACES[place]}", fontsize=10)
        axes.set_xlabel(f"% of cells {'deleted' if kind == 'deletion' else 'inserted'}", fontsize=9)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
        if number == 0:
            axes.set_ylabel("log probability of a word (nats)", fontsize=9)
    if first is not None:  # under the panels: within one it would cover curves
        lines_and_names = first.get_legend_handles_labels()
        figure.legend(*lines_and_names, loc="outside lower center", ncols=2 * len(panels), fontsize=8, frameon=False)
    return figure
