"""A photo with one heat map for each word of its caption."""

from __future__ import annotations

import math
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from PIL import Image

from multimodal_attn.evaluation.attention.grounding import pointing_hit
from multimodal_attn.evaluation.attention.mistaken import looked_at
from multimodal_attn.inspection.figures.canvas import DPI, Area, Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, above_uniform, blend
from multimodal_attn.inspection.page.packing import mean_number, pack_picture, rounded_number, rounded_numbers
from multimodal_attn.inspection.views.base import NEARLY_UNIFORM, SourceView
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Box, Grid

PANEL_INCHES = 1.85
COLUMNS = 6
MAX_WORDS = 41  # with the photo, seven full rows
PHOTO_PIXELS = 448  # longer side on the page, at most
_GRAY = "#555555"


class PictureView(SourceView[Grid]):
    """Maps over the photo, of their weight above uniform: a map that looks everywhere leaves the photo gray."""

    name = "picture"

    def draw(self, limit: float | None = None, smooth: bool = True) -> Image.Image:
        """The photo, then a panel for each word: its map over the photo, true box, entropy and peak weight.

        Args:
            limit: weight above uniform at the top of the color scale, which all panels share.
            smooth: interpolate between the centers of cells (never above the true peak); False shows the true cells.
        """
        prediction, layout = self.prediction, self.layout
        shown = above_uniform(prediction.word_weights)
        limit = limit or float(shown.max(initial=0.0)) or 1.0
        words = prediction.word_tokens[:MAX_WORDS]
        panels = len(words) + 1
        columns = min(COLUMNS, max(panels, 4))
        rows = math.ceil(panels / columns)

        height_to_width = prediction.source.shape[0] / prediction.source.shape[1]
        panel_height = PANEL_INCHES * min(2.0, max(0.5, height_to_width))
        caption, gap, margin, header, footer = 0.45, 0.1, 0.15, 0.75, 0.55
        width = 2 * margin + columns * PANEL_INCHES + (columns - 1) * gap
        height = header + rows * (panel_height + caption) + footer
        canvas = Canvas(width, height)

        def panel(index: int) -> Area:
            row, column = divmod(index, columns)
            left, top = margin + column * (PANEL_INCHES + gap), header + row * (panel_height + caption)
            return left, top, left + PANEL_INCHES, top + panel_height

        _headline(canvas, prediction, width, margin)
        photo = _panel_photo(prediction.source, panel_height)
        canvas.picture(photo, panel(0))
        _label(canvas, panel(0), "photo", shorten(prediction.key, 34, placeholder="…"), bold=False)
        for index, (word, _, _) in enumerate(words):
            area = panel(index + 1)
            canvas.picture(blend(photo, _upsample(shown[index], layout, photo.shape[:2], smooth), limit), area)
            for box in prediction.boxes.get(index, ()):
                _frame_box(canvas, area, box)
            _mark_peak(canvas, area, prediction.word_weights[index], layout)
            _label(canvas, area, shorten(word, 22, placeholder="…"), _measures(prediction, index))

        _scale(canvas, (margin, height - 0.43, margin + 2.6, height - 0.3), limit)
        canvas.text(margin + 2.95, height - 0.365, _legend(prediction, layout, smooth), 7.5, _GRAY, anchor="lm")
        return canvas.image

    def shown_weights(self, each_head: bool = False) -> np.ndarray:
        return above_uniform(self.word_maps() if each_head else self.prediction.word_weights)

    def source(self) -> dict[str, Any]:
        image = Image.fromarray(self.prediction.source)
        image.thumbnail((PHOTO_PIXELS, PHOTO_PIXELS), Image.Resampling.LANCZOS)
        return {
            "rows": self.layout.rows,
            "columns": self.layout.columns,
            "photo": pack_picture(image),
            "width": image.width,
            "height": image.height,
        }

    def truth(self) -> dict[str, Any]:
        return {
            "boxes": {index: [rounded_numbers(box, 4) for box in found] for index, found in self._boxes().items()},
            "hits": {index: rounded_number(hit, 3) for index, hit in self._hits().items()},
            "lookedAt": self._looked_at(),
        }

    def measures(self) -> dict[str, float | None]:
        return super().measures() | {"hits": mean_number(self._hits().values())}

    def _boxes(self) -> dict[int, tuple[Box, ...]]:
        return {index: found for index, found in sorted(self.prediction.boxes.items()) if found}

    def _hits(self) -> dict[int, float]:
        """Of the words with boxes; not of those where another thing was looked at, as these are wrong words."""
        weights, mistaken = self.prediction.word_weights, self._looked_at()
        return {
            index: pointing_hit(weights[index], self.layout, found)
            for index, found in self._boxes().items()
            if index not in mistaken
        }

    def _looked_at(self) -> dict[int, str]:
        prediction = self.prediction
        found = looked_at(prediction.word_weights, self.layout, self._boxes(), prediction.things)
        words = [word for word, *_ in prediction.word_tokens]
        return {index: f"{'another' if words[index] == name else 'the'} {name}" for index, name in found.items()}


def _legend(prediction: Prediction, layout: Grid, smooth: bool) -> str:
    """What the colors, the figures and the frames of the sheet are."""
    left_out = len(prediction.word_tokens) - MAX_WORDS
    return (
        f"weight of a cell above a uniform map's ({1 / (layout.rows * layout.columns):.2g}), one square-root scale for"
        f" all words · {layout.rows} × {layout.columns} cells, {'interpolated' if smooth else 'as they are'}\n"
        "entropy: 1 = uniform, 0 = a single cell · peak: largest weight (circle)"
        + (" · frames: true boxes" if prediction.boxes else "")
        + (f" · {prediction.gate_name}: share of the context that was let through" if prediction.gate else "")
        + (f" · {left_out} more words not shown" if left_out > 0 else "")
    )


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


def _frame_box(canvas: Canvas, area: Area, box: Box) -> None:
    left, top, right, bottom = _inside(area, box)
    edge = 0.8 / 72
    canvas.frame((left - edge, top - edge, right + edge, bottom + edge), "#000000aa", 3.2)
    canvas.frame((left, top, right, bottom), TRUTH, 1.6)


def _mark_peak(canvas: Canvas, area: Area, weights: np.ndarray, layout: Grid) -> None:
    left, top, right, bottom = _inside(area, layout.cell(int(np.nan_to_num(weights).argmax())))
    x, y, radius = (left + right) / 2, (top + bottom) / 2, 2.5 / 72
    canvas.ring(x, y, radius, "#000000", 2.6)
    canvas.ring(x, y, radius, "#ffffff", 1.1)


def _measures(prediction: Prediction, index: int) -> str:
    entropy = prediction.entropy[index]
    flat = entropy >= NEARLY_UNIFORM
    spread = "nearly uniform" if flat else f"entropy {entropy:.2f} · peak {prediction.peak[index]:.2g}"
    gate = f" · {prediction.gate_name} {prediction.word_gate[index]:.2f}" if prediction.gate else ""
    return f"{spread}{gate}"


def _label(canvas: Canvas, area: Area, title: str, detail: str, bold: bool = True) -> None:
    left, _, _, bottom = area
    canvas.text(left, bottom + 0.04, title, 10, bold=bold)
    canvas.text(left, bottom + 0.24, detail, 7, _GRAY)


def _headline(canvas: Canvas, prediction: Prediction, width: float, margin: float) -> None:
    """The hypothesis as title, one reference, score and flags under it."""
    text = shorten(prediction.text, int(width * 9), placeholder=" …") or "(empty hypothesis)"
    flags = f" · {', '.join(prediction.flags)}" if prediction.flags else ""
    canvas.text(margin, 0.12, text, 13, bold=True)
    reference = prediction.references[0] if prediction.references else "(none)"
    more = f" (+{len(prediction.references) - 1})" if len(prediction.references) > 1 else ""
    line = f"{shorten(f'reference: {reference}', int(width * 11), placeholder=' …')}{more}"
    canvas.text(margin, 0.42, f"{line} · score {prediction.score:.3g}{flags}", 9, _GRAY)


def _scale(canvas: Canvas, area: Area, limit: float) -> None:
    """The colors as they look over mid-gray."""
    left, _, right, bottom = area
    levels = np.linspace(0, 1, 256, dtype=np.float32)[None]
    canvas.picture(blend(np.full((1, 256, 3), 0.5, np.float32), limit * levels**2, limit), area)
    for level in (0, 0.25, 0.5, 0.75, 1):
        x = left + level * (right - left)
        canvas.line((x, bottom), (x, bottom + 0.03), "#000000", 0.8)
        canvas.text(x, bottom + 0.05, f"+{limit * level**2:.2g}" if level else "0", 7.5, anchor="ma")
