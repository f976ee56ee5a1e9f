"""Media in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger

from multimodal_attn.tracking.backend import Backend


class TensorBoardBackend(Backend[TensorBoardLogger]):
    """A page is its path, a table Markdown."""

    def picture(self, key: str, picture: Image.Image, step: int) -> None:
        self.logger.experiment.add_image(key, np.asarray(picture), step, dataformats="HWC")

    def page(self, key: str, path: Path, step: int) -> None:
        self.logger.experiment.add_text(key, str(path), step)

    def audio(self, key: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
        self.logger.experiment.add_audio(key, waveform[None], step, sample_rate=sample_rate)

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        plain = self.apart(key, columns, rows, step)
        cells = [[_markdown(cell) for cell in row] for row in (columns, ["---"] * len(columns), *plain)]
        self.logger.experiment.add_text(key, "\n".join(f"|{'|'.join(row)}|" for row in cells), step)


def _markdown(cell: Any) -> str:
    """A cell that says what it says, and nothing else."""
    plain = " ".join(str(cell).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in "\\|`*[]" else sign for sign in plain)
