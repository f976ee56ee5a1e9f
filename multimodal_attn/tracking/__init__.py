"""One face for pictures, pages, tables and sounds: W&B, TensorBoard or plain files, whichever loggers a run has."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities import rank_zero_only

from multimodal_attn.tracking.backend import Backend
from multimodal_attn.tracking.files import FileBackend, FileLogger
from multimodal_attn.tracking.tensorboard import TensorBoardBackend
from multimodal_attn.tracking.wandb import WandbBackend

log = logging.getLogger(__name__)

BACKENDS: dict[type[Logger], type[Backend[Any]]] = {
    WandbLogger: WandbBackend,
    TensorBoardLogger: TensorBoardBackend,
    FileLogger: FileBackend,
}
_without_media: set[type[Logger]] = set()  # kinds of loggers that have been told of


@rank_zero_only
def log_picture(loggers: Iterable[Logger], key: str, picture: Image.Image, step: int) -> None:
    """Logs a picture."""
    for backend in _backends(loggers):
        backend.picture(key, picture, step)


@rank_zero_only
def log_page(loggers: Iterable[Logger], key: str, path: Path, step: int) -> None:
    """Logs a self-contained HTML file. TensorBoard has no place for one and gets its path as text."""
    for backend in _backends(loggers):
        backend.page(key, path, step)


@rank_zero_only
def log_table(
    loggers: Iterable[Logger], key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int
) -> None:
    """Logs a table of plain values, pictures and sounds.

    Only W&B shows the latter in their cells. Elsewhere they are logged by themselves, and the cell has their key.
    """
    for backend in _backends(loggers):
        backend.table(key, columns, rows, step)


@rank_zero_only
def log_audio(loggers: Iterable[Logger], key: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
    """Logs a mono waveform.

    Shapes:
        waveform: (L,) float32 in [-1, 1].
    """
    for backend in _backends(loggers):
        backend.audio(key, waveform, sample_rate, step)


def _backends(loggers: Iterable[Logger]) -> Iterator[Backend[Any]]:
    """That of each logger; says once for each kind that has none. Lightning's dry runs log nowhere on purpose."""
    for logger in loggers:
        if (kind := next((BACKENDS[base] for base in type(logger).__mro__ if base in BACKENDS), None)) is not None:
            yield kind(logger)
        elif type(logger) not in {DummyLogger} | _without_media:
            _without_media.add(type(logger))
            log.warning("%s gets no pictures, pages, tables or audio: no way to log them there", type(logger).__name__)
