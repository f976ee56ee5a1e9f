"""Reads a picture file of any kind into RGB."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from multimodal_attn.types import UnreadableError

Fit = Literal["squash", "crop", "pad"]
"""How a picture becomes square."""
_GRAY = (127, 127, 127)  # of what is added around a photo


def read_pixels(path: str | Path | BinaryIO, size: int | None, fit: Fit = "squash") -> np.ndarray:
    """Reads a picture upright, in RGB, with transparency over white.

    Args:
        path: anything that Pillow decodes, or its content; of an animation, the first frame.
        size: side in pixels of the square that the picture is scaled to, antialiased; None keeps it as it is.
        fit: "squash" scales width and height apart, so that all of the picture is there; "crop" takes its central
            square, so that nothing is distorted; "pad" does both, with gray bars on two sides.

    Returns:
        uint8 picture.

    Shapes:
        Returns (size, size, 3), or (height, width, 3) without a size.

    Raises:
        UnreadableError: if the file is missing, empty, corrupt, cut off, or has more pixels than Pillow deems safe.
    """
    try:
        with warnings.catch_warnings():
            # Pillow only warns up to twice its limit, and decodes what could take gigabytes.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if size is not None:
                    # A JPEG decodes faster at a fraction of its size; from twice ours the antialiasing is still our
                    # own.
                    image.draft(None, (2 * size, 2 * size))
                image.load()
                # Upright first: converting loses where a TIFF keeps its orientation.
                picture = _to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # corrupt files raise what they like: OSError, SyntaxError, struct.error, ...
        raise UnreadableError(str(path), unreadable_reason(path, error)) from error
    if size is not None:
        if fit != "squash":
            left, top, side = central_square(*picture.size, fit)
            square = Image.new("RGB", (side, side), _GRAY)
            square.paste(picture, (-left, -top))
            picture = square
        if picture.size != (size, size):
            picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.array(picture)


def central_square(width: int, height: int, fit: Fit) -> tuple[int, int, int]:
    """Left, top and side in pixels; left or top is below 0 where the square is larger than the photo."""
    side = min(width, height) if fit == "crop" else max(width, height)
    return (width - side) // 2, (height - side) // 2, side


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Gray pictures of 16 or 32 bits or floats, which Pillow would clip at 255 instead of scaling."""
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        scale = 255.0 if values.max() <= 1 else 1.0
    else:
        scale = 1 / 257 if image.mode.startswith("I;16") or values.max() > 255 else 1.0
    return Image.fromarray(np.nan_to_num(values * scale).round().clip(0, 255).astype(np.uint8)).convert("RGB")


def unreadable_reason(path: str | Path | BinaryIO, error: Exception) -> str:
    """Why a picture file cannot be read, for people."""
    file = Path(path) if isinstance(path, str | Path) else None
    if file is not None and not file.is_file():
        return "no such file"
    if file is not None and file.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS} pixels"
    # Whose own words are of how it was given.
    reason = "of no known format" if isinstance(error, UnidentifiedImageError) else str(error)
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    return f"not a readable picture ({reason})"
