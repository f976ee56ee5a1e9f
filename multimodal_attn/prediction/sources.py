"""What people hand to a predictor, as an example: files, bytes, pictures, arrays, tensors, texts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.data.reading.arrays import encoded, mono_of, picture_of
from multimodal_attn.data.reading.audio import resample
from multimodal_attn.data.reading.samples import check_samples
from multimodal_attn.data.reading.segmentation import waveform_levels
from multimodal_attn.data.reading.text import single_spaces
from multimodal_attn.prediction.recordings.unread import lead
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
        return Example("text", str(reader.read(single_spaces(source))))
    if isinstance(source, str | Path):
        return examples_of(reader, source)[0]
    name = type(source).__name__
    try:
        if isinstance(source, bytes):
            source = io.BytesIO(source)
        elif reader.modality == "picture":
            source = encoded(source if isinstance(source, Image.Image) else picture_of(_array(source)))
        else:
            rate = sample_rate or reader.sample_rate
            samples = mono_of(_array(source), rate)
            check_samples(samples, rate, "waveform")
            waveform = resample(torch.from_numpy(samples), rate, reader.sample_rate)
            return _without_pause(Example(name, waveform, sample_rate=reader.sample_rate))
        return _without_pause(Example(name, reader.read(source), sample_rate=reader.sample_rate))
    except UnreadableError as error:
        raise _unreadable(reader, name, error.reason) from None
    except (TypeError, ValueError) as error:
        raise _unreadable(reader, name, str(error)) from None


def examples_of(reader: Reader, path: str | Path) -> list[Example]:
    """What a file holds: one picture or recording, or one text per line.

    Raises:
        UnreadableError: if it cannot be read, or holds nothing.
    """
    if reader.in_files and Path(path).is_fifo():
        raise _unreadable(reader, str(path), "is a pipe, and no file")  # to open it would wait for ever
    try:
        return [_without_pause(example) for example in reader.examples(str(path))]
    except UnreadableError as error:
        table = reader.in_files and Path(path).suffix.lower() in _TABLES
        reason = "is a table; expected files, or a folder of them" if table else error.reason
        raise _unreadable(reader, error.path, reason) from None


def _without_pause(example: Example) -> Example:
    """The same, of a recording without a pause before its first sound."""
    if example.modality != "recording":
        return example
    assert isinstance(example.source, Tensor)
    level = waveform_levels(example.source.numpy(), example.sample_rate)
    return replace(example, pause_seconds=lead(level))


def read_all(reader: Reader, paths: Iterable[str | Path]) -> Iterator[Example | UnreadableError]:
    """What files hold, in order; an error for each that cannot be read."""
    for path in paths:
        try:
            yield from examples_of(reader, path)
        except UnreadableError as error:
            yield error


def _unreadable(reader: Reader, name: str, reason: str) -> UnreadableError:
    return UnreadableError(name, f"{reason} (this run expects {reader.phrase})")


def _array(values: Any) -> np.ndarray:
    """An array, or a tensor as one: a picture's channels last."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return np.asarray(values.permute(1, 2, 0) if values.ndim == 3 else values)
