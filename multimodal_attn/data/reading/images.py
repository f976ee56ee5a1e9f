"""Reads a picture file of any kind into RGB."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional

from multimodal_attn.types import Box, UnreadableError

SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "jp2", "avif")
"""Of the files that are taken for pictures where a folder is named."""

Fit = Literal["squash", "crop", "pad"]
"""How a picture becomes square."""
_GREY = 127  # of what is added around a photo
_TURNED = (5, 6, 7, 8)  # orientations of EXIF in which width and height change places


def read_image(path: str | Path | BinaryIO, size: int | None, fit: Fit = "squash") -> Tensor:
    """Reads a picture upright, in RGB, with transparency over white.

    Args:
        path: anything that Pillow decodes, or its content; of an animation, the first frame.
        size: side in pixels of the square that the picture is scaled to, antialiased; None keeps it as it is.
        fit: "squash" scales width and height apart, so that all of the picture is there; "crop" takes its central
            square, so that nothing is distorted; "pad" does both, with grey bars on two sides.

    Returns:
        uint8 picture.

    Shapes:
        Returns (3, size, size), or (3, height, width) without a size.

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
                picture = functional.pil_to_tensor(_to_rgb(ImageOps.exif_transpose(image)))
    except Exception as error:  # corrupt files raise what they like: OSError, SyntaxError, struct.error, ...
        raise UnreadableError(str(path), _reason(path, error)) from error
    if size is None:
        return picture
    if fit != "squash":
        height, width = picture.shape[1:]
        left, top, side = _central_square(width, height, fit)
        margins = [-left, -top, left + side - width, top + side - height]  # below 0 where the square lies inside
        picture = functional.pad(picture, [max(0, margin) for margin in margins], fill=_GREY)
        picture = functional.crop(picture, max(0, top), max(0, left), side, side)
    if tuple(picture.shape[1:]) == (size, size):
        return picture
    return functional.resize(picture, [size, size], antialias=True)


def photo_frame(path: str | Path | BinaryIO, fit: Fit) -> Box:
    """What ``read_image`` gives with a size, in fractions of the upright photo; with bars, it reaches beyond the photo.

    Of a file, only the header is read.

    Raises:
        UnreadableError: if the header cannot be read.
    """
    if fit == "squash":
        return Box(0, 0, 1, 1)
    try:
        with Image.open(path) as image:
            width, height = image.size
            if image.getexif().get(ExifTags.Base.Orientation) in _TURNED:
                width, height = height, width
    except Exception as error:
        raise UnreadableError(str(path), _reason(path, error)) from error
    left, top, side = _central_square(width, height, fit)
    return Box(left / width, top / height, (left + side) / width, (top + side) / height)


def box_in_frame(box: Box, frame: Box) -> Box | None:
    """A box of the whole photo in fractions of a frame; None where nothing of it is seen there."""
    width, height = frame.right - frame.left, frame.bottom - frame.top
    horizontal = [min(max((x - frame.left) / width, 0.0), 1.0) for x in (box.left, box.right)]
    vertical = [min(max((y - frame.top) / height, 0.0), 1.0) for y in (box.top, box.bottom)]
    moved = Box(horizontal[0], vertical[0], horizontal[1], vertical[1])
    return moved if moved.left < moved.right and moved.top < moved.bottom else None


def _central_square(width: int, height: int, fit: Fit) -> tuple[int, int, int]:
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
    """Grey pictures of 16 or 32 bits or floats, which Pillow would clip at 255 instead of scaling."""
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        scale = 255.0 if values.max() <= 1 else 1.0
    else:
        scale = 1 / 257 if image.mode.startswith("I;16") or values.max() > 255 else 1.0
    return Image.fromarray(np.nan_to_num(values * scale).round().clip(0, 255).astype(np.uint8)).convert("RGB")


def _reason(path: str | Path | BinaryIO, error: Exception) -> str:
    file = Path(path) if isinstance(path, str | Path) else None
    if file is not None and not file.is_file():
        return "no such file"
    if file is not None and file.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS} pixels"
    return f"not a readable picture ({error})"
