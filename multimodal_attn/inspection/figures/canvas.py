"""A white sheet, measured in inches from its top left, on which the pictures of attention are drawn with Pillow.

Training draws some after every epoch, and a sheet full of labels takes matplotlib several times as long.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

DPI = 110

Area = tuple[float, float, float, float]  # left, top, right, bottom


class Canvas:
    """Lengths are in inches, sizes of letters and widths of lines in points; text is never markup.

    Args:
        width, height: of the sheet.

    Attributes:
        image: what was drawn, RGB.
    """

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGB", (round(width * DPI), round(height * DPI)), "white")
        self._pen = ImageDraw.Draw(self.image, "RGBA")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        points: float,
        color: str = "#000000",
        bold: bool = False,
        anchor: str = "la",
    ) -> None:
        """Writes text, in lines if it has several.

        Args:
            x, y: of the anchor.
            text: to write.
            points: size of the letters.
            color: of the letters.
            bold: heavier letters.
            anchor: Pillow's, such as "la" for the upper left corner or "rm" for the middle of the right edge.
        """
        font = _font(points, bold)
        self._pen.text((x * DPI, y * DPI), text, color, font, anchor, spacing=0.35 * font.size)

    def text_upwards(self, x: float, y: float, text: str, points: float, color: str = "#000000") -> None:
        """Writes text from the bottom up; (x, y) is the middle of where it begins."""
        font = _font(points, False)
        left, top, right, bottom = (math.ceil(side) for side in font.getbbox(text, anchor="ls"))
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).text((-left, -top), text, 255, font, "ls")
        mask = mask.transpose(Image.Transpose.ROTATE_90)
        # Letters stand on a common line, a third of their size to the right of the middle.
        corner = round(x * DPI + font.size / 3) + top, round(y * DPI) - right
        self.image.paste(color, corner, mask)

    def picture(self, pixels: np.ndarray, area: Area, clip: Area | None = None) -> None:
        """Puts a picture into an area: enlarged, its pixels stay squares; made smaller, they are averaged.

        Args:
            pixels: (H, W, 3) in [0, 1].
            area: that the whole picture would take.
            clip: what is seen of that; all if None.
        """
        left, top, right, bottom = area
        seen = area if clip is None else (*map(max, area[:2], clip[:2]), *map(min, area[2:], clip[2:]))
        corner = round(seen[0] * DPI), round(seen[1] * DPI)
        size = max(1, round(seen[2] * DPI) - corner[0]), max(1, round(seen[3] * DPI) - corner[1])
        image = Image.fromarray(np.rint(255 * pixels).astype(np.uint8))
        if image.size != size or clip is not None:
            across, down = image.width / (right - left), image.height / (bottom - top)
            cut = (
                (seen[0] - left) * across,
                (seen[1] - top) * down,
                (seen[2] - left) * across,
                (seen[3] - top) * down,
            )
            image = image.resize(size, Image.Resampling.BOX, cut)
        self.image.paste(image, corner)

    def line(self, start: tuple[float, float], end: tuple[float, float], color: str, points: float = 1.0) -> None:
        """A line, horizontal or vertical; the color may have an alpha, as #rrggbbaa."""
        ends = [(round(x * DPI), round(y * DPI)) for x, y in (start, end)]
        self._pen.line(ends, color, _pixels(points))

    def frame(self, area: Area, color: str, points: float = 1.0) -> None:
        """A rectangle's edge, drawn inside of it."""
        left, top, right, bottom = (round(number * DPI) for number in area)
        self._pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), None, color, _pixels(points))

    def ring(self, x: float, y: float, radius: float, color: str, points: float = 1.0) -> None:
        """A circle's edge around a point."""
        mask = _ring(radius * DPI, points * DPI / 72)
        self.image.paste(color, (round(x * DPI) - mask.width // 2, round(y * DPI) - mask.height // 2), mask)


def _pixels(points: float) -> int:
    return max(1, round(points * DPI / 72))


@lru_cache(maxsize=32)
def _font(points: float, bold: bool) -> ImageFont.FreeTypeFont:
    # matplotlib brings letters for more languages than Pillow's own font has.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), points * DPI / 72)


@lru_cache(maxsize=8)
def _ring(radius: float, width: float, finer: int = 4) -> Image.Image:
    """The mask of a ring with smooth edges: Pillow's own circles have steps."""
    side = 2 * int(radius + width + 1) + 1
    mask = Image.new("L", (finer * side, finer * side))
    outer, middle = finer * (radius + width / 2), finer * side / 2 - 0.5
    box = (middle - outer, middle - outer, middle + outer, middle + outer)
    ImageDraw.Draw(mask).ellipse(box, None, 255, max(1, round(finer * width)))
    return mask.resize((side, side), Image.Resampling.BOX)
