"""Numbers, weights and pictures in the form in which the page holds them."""

from __future__ import annotations

import base64
import io
import math
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import soundfile
from PIL import Image

FLAC_BYTES = 44_000  # a recording: with more than that a page of 50 would pass 5 MB, and Opus it is
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)


def pack_weights(weights: np.ndarray) -> dict[str, Any]:
    """Weights as bytes: ``weights[t, n] = scale[t][n] * codes[t, n] / 255``, zlib-compressed, in base64.

    Each row has its own scale, so that a nearly uniform row keeps as many levels as a sharp one, and no weight is off
    by more than its row's largest / 510.

    Shapes:
        weights: (T, N, S).
    """
    weights = np.nan_to_num(np.asarray(weights, dtype=np.float64))
    scale = np.array([float(f"{top:.8g}") for top in weights.max(axis=-1, initial=0.0).ravel()])
    scale = scale.reshape(weights.shape[:2])
    codes = np.rint(np.clip(weights / np.where(scale > 0, scale, 1)[..., None], 0, 1) * 255).astype(np.uint8)
    data = base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode()
    return {"shape": list(weights.shape), "scale": scale.tolist(), "data": data}


def rounded_number(value: float | None, digits: int) -> float | int | None:
    """A number with few digits; None for what JSON has no word for."""
    if value is None or not math.isfinite(value):
        return None
    value = float(value)
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{digits}g}")


def rounded_numbers(values: Any, digits: int) -> Any:
    """Lists of numbers with ``digits`` decimals, of any shape; what is not a number becomes 0."""
    array = np.nan_to_num(np.asarray(values, dtype=np.float64))
    return np.round(array, digits).tolist()


def mean_number(values: Iterable[float]) -> float | int | None:
    """The mean to three digits; None where there is nothing to average."""
    values = list(values)
    return rounded_number(float(np.mean(values)), 3) if values else None


def pack_picture(image: Image.Image) -> str:
    """A picture as the address of itself."""
    buffer = io.BytesIO()
    # Small pictures are drawn enlarged, where the artifacts of a stronger compression would show.
    image.save(buffer, "JPEG", quality=95 if max(image.size) <= 128 else 82, optimize=True)
    return _data_uri("image/jpeg", buffer.getvalue())


def pack_sound(waveform: np.ndarray, sample_rate: int) -> str:
    """A waveform (L,) as the address of itself: lossless where that leaves the page small enough."""
    flac = _encode(waveform, sample_rate, "FLAC", "PCM_16")
    if len(flac) <= FLAC_BYTES or sample_rate not in OPUS_RATES:
        return _data_uri("audio/flac", flac)
    return _data_uri("audio/ogg", _encode(waveform, sample_rate, "OGG", "OPUS"))


def _encode(waveform: np.ndarray, sample_rate: int, container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    samples = np.clip(np.nan_to_num(waveform), -1, 1)
    soundfile.write(buffer, samples, sample_rate, format=container, subtype=codec)
    return buffer.getvalue()


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
