"""Pictures and waveforms that come as arrays, not as files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from multimodal_attn.data.reading.audio_file import SAMPLE_RATES, mixed


def encoded(picture: Image.Image) -> io.BytesIO:
    """A picture as a file without loss, so that it is read as any other."""
    content = io.BytesIO()
    kept = picture.mode in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
    (picture if kept else picture.convert("RGB")).save(content, "PNG", compress_level=1)
    content.seek(0)
    return content


def picture_of(values: Any) -> Image.Image:
    """A picture of an array (height, width[, 3 or 4]) of bytes, or of floats in [0, 1].

    Raises:
        ValueError: for another shape, or other numbers.
    """
    array = np.asarray(values)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or 0 in array.shape:
        raise ValueError(f"has the shape {tuple(array.shape)}; expected (height, width, 3)")
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError("has floats outside of [0, 1]")
        array = (array * 255).round()
    elif array.dtype.kind not in "ub" or array.max() > 255:
        raise ValueError(f"is of {array.dtype}; expected bytes, or floats in [0, 1]")
    return Image.fromarray(array.astype(np.uint8))


def mono_of(values: Any, rate: int) -> np.ndarray:
    """The samples (L,) of an array (L,) or (channels, L) of floats in [-1, 1], or of 16-bit integers.

    Channels are mixed as those of a file.

    Raises:
        ValueError: for another shape, other numbers, or a strange sample rate.
    """
    array = np.asarray(values)
    if array.dtype == np.int16:
        array = array / 32768
    if array.dtype.kind != "f" or array.ndim not in (1, 2):
        raise ValueError(f"has the shape {tuple(array.shape)} of {array.dtype}; expected (samples,) floats in [-1, 1]")
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
        raise ValueError(f"has a sample rate of {rate} Hz; expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]}")
    return np.ascontiguousarray(mixed(np.atleast_2d(array.astype(np.float32)).T))
