"""A photo with one heat map for each word of its caption."""

from __future__ import annotations

import math
from textwrap import shorten

import numpy as np
import torch
from PIL import Image

from multimodal_attn.inspection.figures.canvas import DPI, Area, Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, blend, heat_limit, photo_levels
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Box, Grid

PANEL_INCHES = 1.85
COLUMNS = 6
MAX_WORDS = 41  # with the photo, seven full rows
_GREY = "#555555"


def draw_overlay(record: Prediction, smooth: bool = True, limit: float | None = None) -> Image.Image:
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
    words = record.word_tokens[:MAX_WORDS]
    shown = len(words) + 1
    columns = min(COLUMNS, max(shown, 4))
    rows = math.ceil(shown / columns)

    panel_height = PANEL_INCHES * min(2.0, max(0.5, record.source.shape[0] / record.source.shape[1]))
    caption, gap, margin, header, footer = 0.45, 0.1, 0.15, 0.75, 0.55
    width = 2 * margin + columns * PANEL_INCHES + (columns - 1) * gap
    height = header + rows * (panel_height + caption) + footer
    canvas = Canvas(width, height)

    def panel(index: int) -> Area:
        row, column = divmod(index, columns)
        left, top = margin + column * (PANEL_INCHES + gap), header + row * (panel_height + caption)
        return left, top, left + PANEL_INCHES, top + panel_height

    _headline(canvas, record, width, margin)
    photo = _panel_photo(record.source, panel_height)
    canvas.picture(photo, panel(0))
    _label(canvas, panel(0), "photo", shorten(record.key, 34, placeholder="…"), bold=False)
    for index, (word, _, _) in enumerate(words):
        area = panel(index + 1)
        values = _upsample(record.word_weights[index], record.layout, photo.shape[:2], smooth)
        canvas.picture(blend(photo, values, limit), area)
        for box in record.boxes.get(index, ()):
            _draw_box(canvas, area, box)
        _mark_peak(canvas, area, record.word_weights[index], record.layout)
        _label(canvas, area, shorten(word, 22, placeholder="…"), _measures(record, index))

    grid = f"{record.layout.rows} × {record.layout.columns} cells, {'interpolated' if smooth else 'as they are'}"
    uniform = 1 / (record.layout.rows * record.layout.columns)
    left_out = (
        f" · {len(record.word_tokens) - len(words)} more words not shown"
        if len(words) < len(record.word_tokens)
        else ""
    )
    _draw_scale(canvas, (margin, height - 0.43, margin + 2.6, height - 0.3), limit, uniform)
    canvas.text(
        margin + 2.8,
        height - 0.365,
        f"weight of a cell, one square-root scale for all words (line: a uniform map, {uniform:.2g}) · {grid}\n"
        f"entropy: 1 = uniform, 0 = a single cell · peak: largest weight (circle)"
        f"{' · frames: true boxes' if record.boxes else ''}"
        f"{f' · {record.gate_name}: share of the context that was let through' if record.gate else ''}{left_out}",
        7.5,
        _GREY,
        anchor="lm",
    )
    return canvas.image


def _panel_photo(source: np.ndarray, panel_height: float) -> np.ndarray:
    image = Image.fromarray(source)
    size = round(PANEL_INCHES * DPI), round(panel_height * DPI)
    resample = Image.Resampling.LANCZOS if size[0] < image.width else Image.Resampling.BICUBIC
    return np.asarray(image.resize(size, resample), dtype=np.float32) / 255


def _upsample(weights: np.ndarray, layout: Grid, size: tuple[int, int], smooth: bool) -> np.ndarray:
    cells = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32)).view(1, 1, layout.rows, layout.columns)
    # Bilinear, not bicubic: a cubic overshoots, and would show more weight than there is.
    mode = "bilinear" if smooth else "nearest-exact"
    return torch.nn.functional.interpolate(cells, size=size, mode=mode)[0, 0].numpy()


def _inside(area: Area, box: Box) -> Area:
    """Where a box of the photo lies on the sheet."""
    left, top, right, bottom = area
    width, height = right - left, bottom - top
    return left + box.left * width, top + box.top * height, left + box.right * width, top + box.bottom * height


def _draw_box(canvas: Canvas, area: Area, box: Box) -> None:
    left, top, right, bottom = _inside(area, box)
    edge = 0.8 / 72
    canvas.frame((left - edge, top - edge, right + edge, bottom + edge), "#000000aa", 3.2)
    canvas.frame((left, top, right, bottom), TRUTH, 1.6)


def _mark_peak(canvas: Canvas, area: Area, weights: np.ndarray, layout: Grid) -> None:
    left, top, right, bottom = _inside(area, layout.cell(int(np.nan_to_num(weights).argmax())))
    x, y, radius = (left + right) / 2, (top + bottom) / 2, 2.5 / 72
    canvas.ring(x, y, radius, "#000000", 2.6)
    canvas.ring(x, y, radius, "#ffffff", 1.1)


def _measures(record: Prediction, index: int) -> str:
    gate = f" · {record.gate_name} {record.word_gate[index]:.2f}" if record.gate else ""
    return f"entropy {record.entropy[index]:.2f} · peak {record.peak[index]:.2g}{gate}"


def _label(canvas: Canvas, area: Area, title: str, detail: str, bold: bool = True) -> None:
    left, _, _, bottom = area
    canvas.text(left, bottom + 0.04, title, 10, bold=bold)
    canvas.text(left, bottom + 0.24, detail, 7, _GREY)


def _headline(canvas: Canvas, record: Prediction, width: float, margin: float) -> None:
    """The hypothesis as title, one reference, score and flags under it."""
    text = shorten(record.text, int(width * 9), placeholder=" …") or "(empty hypothesis)"
    flags = f" · {', '.join(record.flags)}" if record.flags else ""
    canvas.text(margin, 0.12, text, 13, bold=True)
    reference = record.references[0] if record.references else "(none)"
    more = f" (+{len(record.references) - 1})" if len(record.references) > 1 else ""
    line = f"{shorten(f'reference: {reference}', int(width * 11), placeholder=' …')}{more}"
    canvas.text(margin, 0.42, f"{line} · score {record.score:.3g}{flags}", 9, _GREY)


def _draw_scale(canvas: Canvas, area: Area, limit: float, uniform: float) -> None:
    """The colours as they look over mid-grey, with the weight of a uniform map marked."""
    left, top, right, bottom = area
    levels = np.linspace(0, 1, 256, dtype=np.float32)[None]
    canvas.picture(blend(np.full((1, 256, 3), 0.5, np.float32), limit * levels**2, limit), area)
    mark = left + float(photo_levels(np.array(uniform), limit)) * (right - left)
    canvas.line((mark, top), (mark, bottom), "#ffffff")
    for level in (0, 0.25, 0.5, 0.75, 1):
        x = left + level * (right - left)
        canvas.line((x, bottom), (x, bottom + 0.03), "#000000", 0.8)
        canvas.text(x, bottom + 0.05, f"{limit * level**2:.2g}", 7.5, anchor="ma")
