"""What people hand to a predictor, as an example: files, bytes, pictures, arrays, tensors, texts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.data.reading.audio import waveform_of
from multimodal_attn.data.reading.audio_file import SAMPLE_RATES, mixed
from multimodal_attn.data.reading.text import single_spaces
from multimodal_attn.types import Example, UnreadableError

_TABLES = (".csv", ".tsv", ".json", ".jsonl")


def example_of(reader: Reader, source: Any, sample_rate: int | None = None) -> Example:
    """One source as an example; see ``Predictor.__call__``.

    Raises:
        UnreadableError: if it cannot be read as what the model was trained on.
    """
    if not reader.in_files:
        if not isinstance(source, str):
            raise _unreadable(reader, type(source).__name__, "is no text")
        return Example("text", single_spaces(source))
    if isinstance(source, str | Path):
        return examples_of(reader, source)[0]
    name = type(source).__name__
    try:
        if isinstance(source, bytes):
            source = io.BytesIO(source)
        elif reader.modality == "picture":
            source = _encoded(source if isinstance(source, Image.Image) else _picture(source))
        else:
            waveform = _waveform(source, sample_rate or reader.sample_rate, reader.sample_rate)
            return Example(name, waveform, sample_rate=reader.sample_rate)
        return Example(name, reader.read(source), sample_rate=reader.sample_rate)
    except UnreadableError as error:
        raise _unreadable(reader, name, error.reason) from None
    except (TypeError, ValueError) as error:
        raise _unreadable(reader, name, str(error)) from None


def examples_of(reader: Reader, path: str | Path) -> list[Example]:
    """What a file holds: one picture or recording, or a text a line.

    Raises:
        UnreadableError: if it cannot be read, or holds nothing.
    """
    if reader.in_files and Path(path).is_fifo():
        raise _unreadable(reader, str(path), "is a pipe, and no file")  # to open it would wait for ever
    try:
        return reader.examples(str(path))
    except UnreadableError as error:
        table = reader.in_files and Path(path).suffix.lower() in _TABLES
        reason = "is a table; expected files, or a folder of them" if table else error.reason
        raise _unreadable(reader, error.path, reason) from None


def read_all(reader: Reader, paths: Iterable[str | Path]) -> Iterator[Example | UnreadableError]:
    """What files hold, in order; an error for each that cannot be read."""
    for path in paths:
        try:
            yield from examples_of(reader, path)
        except UnreadableError as error:
            yield error


def _unreadable(reader: Reader, name: str, reason: str) -> UnreadableError:
    return UnreadableError(name, f"{reason} (this run expects {reader.phrase})")


def _encoded(picture: Image.Image) -> io.BytesIO:
    """A picture as a file without loss, so that it is read as any other."""
    content = io.BytesIO()
    kept = picture.mode in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
    (picture if kept else picture.convert("RGB")).save(content, "PNG", compress_level=1)
    content.seek(0)
    return content


def _picture(values: Any) -> Image.Image:
    """An array (height, width[, 3 or 4]) or a tensor (1, 3 or 4, height, width) of bytes, or of floats in [0, 1]."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.permute(1, 2, 0) if values.ndim == 3 else values
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


def _waveform(values: Any, rate: int, wanted: int) -> Tensor:
    """An array or tensor (L,) or (channels, L) of floats in [-1, 1], or of 16-bit integers, at the wanted rate.

    Channels are mixed, and samples judged, as those of a file.
    """
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    if array.dtype == np.int16:
        array = array / 32768
    if array.dtype.kind != "f" or array.ndim not in (1, 2):
        raise ValueError(f"has the shape {tuple(array.shape)} of {array.dtype}; expected (samples,) floats in [-1, 1]")
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
        raise ValueError(f"has a sample rate of {rate} Hz; expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]}")
    mono = mixed(np.atleast_2d(array.astype(np.float32)).T)
    return waveform_of(np.ascontiguousarray(mono), rate, wanted, "waveform")
