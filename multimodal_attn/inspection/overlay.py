"""A photo with one heat map for each word of its caption."""

from __future__ import annotations

import math
from textwrap import shorten

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from multimodal_attn.inspection.colors import TRUTH, blend, heat_limit, photo_levels
from multimodal_attn.inspection.record import AttentionRecord
from multimodal_attn.types import Box, Grid

DPI = 110
PANEL_INCHES = 1.85
COLUMNS = 6
MAX_WORDS = 41  # with the photo, seven full rows
_PIXELS = 256  # longer side of a panel's picture: about what PANEL_INCHES shows


def draw_overlay(record: AttentionRecord, smooth: bool = True, limit: float | None = None) -> Figure:
    """The photo, then a panel for each word: its map over the photo, true box, entropy and peak weight.

    Args:
        record: of a Grid layout.
        smooth: interpolate between the centres of cells (never above the true peak); False shows the true cells.
        limit: weight at the top of the colour scale, which all panels share; the record's largest weight if None.

    Raises:
        ValueError: if the record's layout is no Grid.
    """
    if not isinstance(record.layout, Grid):
        raise ValueError(f"{record.key}: an overlay needs a Grid layout, not {type(record.layout).__name__}")
    limit = limit or heat_limit([record])
    photo = _panel_photo(record.source)
    words = record.words[:MAX_WORDS]
    shown = len(words) + 1
    columns = min(COLUMNS, max(shown, 4))
    rows = math.ceil(shown / columns)

    panel_height = PANEL_INCHES * min(2.0, max(0.5, photo.shape[0] / photo.shape[1]))
    caption, gap, margin, header, footer = 0.45, 0.1, 0.15, 0.75, 0.55
    width = 2 * margin + columns * PANEL_INCHES + (columns - 1) * gap
    height = header + rows * (panel_height + caption) + footer
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)

    def panel(index: int) -> Axes:
        row, column = divmod(index, columns)
        left = margin + column * (PANEL_INCHES + gap)
        bottom = height - header - row * (panel_height + caption) - panel_height
        axes = figure.add_axes(
            (left / width, bottom / height, PANEL_INCHES / width, panel_height / height), xticks=[], yticks=[]
        )
        axes.set_frame_on(False)
        return axes

    _headline(figure, record, width, height, margin)
    axes = panel(0)
    axes.imshow(photo, aspect="auto")
    _label(axes, "photo", shorten(record.key, 34, placeholder="…"), weight="normal")
    for index, (word, _, _) in enumerate(words):
        axes = panel(index + 1)
        values = _upsample(record.word_weights[index], record.layout, photo.shape[:2], smooth)
        axes.imshow(blend(photo, values, limit), aspect="auto", interpolation="nearest")
        _mark_peak(axes, record.word_weights[index], record.layout, photo.shape[:2])
        for box in record.boxes.get(index, ()):
            _draw_box(axes, box, photo.shape[:2])
        _label(axes, shorten(word, 22, placeholder="…"), _measures(record, index))

    grid = f"{record.layout.rows} × {record.layout.columns} cells, {'interpolated' if smooth else 'as they are'}"
    uniform = 1 / (record.layout.rows * record.layout.columns)
    left_out = f" · {len(record.words) - len(words)} more words not shown" if len(words) < len(record.words) else ""
    _draw_scale(figure, (margin, 0.3, 2.6, 0.13), limit, uniform)
    figure.text(
        (margin + 2.8) / width,
        0.365 / height,
        f"weight of a cell, one square-root scale for all words (line: a uniform map, {uniform:.2g}) · {grid}\n"
        f"entropy: 1 = uniform, 0 = a single cell · peak: largest weight (circle)"
        f"{' · frames: true boxes' if record.boxes else ''}"
        f"{f' · {record.gate_name}: share of the context that was let through' if record.gate else ''}{left_out}",
        fontsize=7.5,
        color="#555555",
        va="center",
        linespacing=1.4,
    )
    return figure


def _panel_photo(source: np.ndarray) -> np.ndarray:
    image = Image.fromarray(source)
    # Enlarged too: a picture of 32 pixels would leave no room for a map finer than its pixels.
    scale = _PIXELS / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resample = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(image.resize(size, resample), dtype=np.float32) / 255


def _upsample(weights: np.ndarray, layout: Grid, size: tuple[int, int], smooth: bool) -> np.ndarray:
    cells = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32)).view(1, 1, layout.rows, layout.columns)
    # Bilinear, not bicubic: a cubic overshoots, and would show more weight than there is.
    mode = "bilinear" if smooth else "nearest-exact"
    return torch.nn.functional.interpolate(cells, size=size, mode=mode)[0, 0].numpy()


def _draw_box(axes: Axes, box: Box, size: tuple[int, int]) -> None:
    height, width = size
    corner = (box.left * width - 0.5, box.top * height - 0.5)
    axes.add_patch(
        Rectangle(
            corner,
            (box.right - box.left) * width,
            (box.bottom - box.top) * height,
            fill=False,
            edgecolor=TRUTH,
            linewidth=1.6,
            path_effects=[withStroke(linewidth=3.2, foreground="#000000aa")],
        )
    )


def _mark_peak(axes: Axes, weights: np.ndarray, layout: Grid, size: tuple[int, int]) -> None:
    box = layout.cell(int(np.nan_to_num(weights).argmax()))
    x, y = (box.left + box.right) / 2 * size[1] - 0.5, (box.top + box.bottom) / 2 * size[0] - 0.5
    halo = [withStroke(linewidth=2.6, foreground="black")]
    axes.plot([x], [y], "o", markersize=5, fillstyle="none", color="white", markeredgewidth=1.1, path_effects=halo)


def _measures(record: AttentionRecord, index: int) -> str:
    gate = f" · {record.gate_name} {record.word_gate[index]:.2f}" if record.gate else ""
    return f"entropy {record.entropy[index]:.2f} · peak {record.peak[index]:.2g}{gate}"


def _label(axes: Axes, title: str, detail: str, weight: str = "bold") -> None:
    # parse_math: a caption may hold a dollar sign, which would start a formula.
    axes.text(0, -0.03, title, transform=axes.transAxes, va="top", fontsize=10, fontweight=weight, parse_math=False)
    axes.annotate(
        detail,
        (0, -0.03),
        xycoords="axes fraction",
        xytext=(0, -14),
        textcoords="offset points",
        va="top",
        fontsize=7.5,
        color="#555555",
        parse_math=False,
    )


def _headline(figure: Figure, record: AttentionRecord, width: float, height: float, margin: float) -> None:
    """The hypothesis as title, one reference, score and flags under it."""
    left = margin / width
    text = shorten(record.text, int(width * 9), placeholder=" …") or "(empty hypothesis)"
    flags = f" · {', '.join(record.flags)}" if record.flags else ""
    figure.text(
        left, 1 - 0.12 / height, text, va="top", fontsize=13, fontweight="bold", parse_math=False, color="black"
    )
    reference = record.references[0] if record.references else "(none)"
    more = f" (+{len(record.references) - 1})" if len(record.references) > 1 else ""
    figure.text(
        left,
        1 - 0.42 / height,
        shorten(f"reference: {reference}", int(width * 11), placeholder=" …")
        + f"{more} · score {record.score:.3g}{flags}",
        va="top",
        fontsize=9,
        color="#555555",
        parse_math=False,
    )


def _draw_scale(figure: Figure, box: tuple[float, float, float, float], limit: float, uniform: float) -> None:
    """The colours as they look over mid-grey, with the weight of a uniform map marked."""
    width, height = figure.get_size_inches()
    left, bottom, bar_width, bar_height = box
    axes = figure.add_axes((left / width, bottom / height, bar_width / width, bar_height / height), yticks=[])
    levels = np.linspace(0, 1, 256, dtype=np.float32)[None]
    grey = np.full((1, 256, 3), 0.5, np.float32)
    axes.imshow(blend(grey, limit * levels**2, limit), aspect="auto", extent=(0, 1, 0, 1))
    axes.axvline(float(photo_levels(np.array(uniform), limit)), color="white", linewidth=1)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(ticks, [f"{limit * level**2:.2g}" for level in ticks], fontsize=7.5)
    axes.tick_params(length=2, pad=2)
