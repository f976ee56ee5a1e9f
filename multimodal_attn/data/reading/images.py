"""Pictures as tensors, and where what is seen of them lies in the photo."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import torch
from PIL import ExifTags, Image
from torch import Tensor

from multimodal_attn.data.reading.pixels import Fit, central_square, read_pixels, unreadable_reason
from multimodal_attn.types import Box, UnreadableError

SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "jp2", "avif")
"""Of the files that are taken for pictures where a folder is named."""
_TURNED = (5, 6, 7, 8)  # orientations of EXIF in which width and height change places


def read_image(path: str | Path | BinaryIO, size: int | None, fit: Fit = "squash") -> Tensor:
    """A picture as ``read_pixels`` reads it; arguments and errors as there.

    Shapes:
        Returns (3, size, size), or (3, height, width) without a size.
    """
    return torch.from_numpy(read_pixels(path, size, fit)).permute(2, 0, 1).contiguous()


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
        raise UnreadableError(str(path), unreadable_reason(path, error)) from error
    left, top, side = central_square(width, height, fit)
    return Box(left / width, top / height, (left + side) / width, (top + side) / height)


def box_in_frame(box: Box, frame: Box) -> Box | None:
    """A box of the whole photo in fractions of a frame; None where nothing of it is seen there."""
    width, height = frame.right - frame.left, frame.bottom - frame.top
    horizontal = [min(max((x - frame.left) / width, 0.0), 1.0) for x in (box.left, box.right)]
    vertical = [min(max((y - frame.top) / height, 0.0), 1.0) for y in (box.top, box.bottom)]
    moved = Box(horizontal[0], vertical[0], horizontal[1], vertical[1])
    return moved if moved.left < moved.right and moved.top < moved.bottom else None
