"""Reads a picture file of any kind into RGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional

from multimodal_attn.types import UnreadableError


def read_image(path: str | Path, size: int | None) -> Tensor:
    """Reads a picture upright, in RGB, with transparency over white.

    Args:
        path: anything that Pillow decodes; of an animation, the first frame.
        size: side in pixels that the picture is squashed to, antialiased; None keeps it as it is.

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
    if size is None or tuple(picture.shape[1:]) == (size, size):
        return picture
    return functional.resize(picture, [size, size], antialias=True)


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


def _reason(path: str | Path, error: Exception) -> str:
    if not Path(path).is_file():
        return "no such file"
    if Path(path).stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS} pixels"
    return f"not a readable picture ({error})"
