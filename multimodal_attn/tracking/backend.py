"""The contract of a place that pictures, pages, tables and sounds are logged to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger

from multimodal_attn.inspection.views.base import Sound

Kind = TypeVar("Kind", bound=Logger)


class Backend(ABC, Generic[Kind]):
    """Logs media to one kind of logger; arguments as in the functions of ``tracking``.

    Args:
        logger: to log to.
    """

    def __init__(self, logger: Kind) -> None:
        self.logger = logger

    @abstractmethod
    def picture(self, key: str, picture: Image.Image, step: int) -> None: ...

    @abstractmethod
    def page(self, key: str, path: Path, step: int) -> None: ...

    @abstractmethod
    def audio(self, key: str, waveform: np.ndarray, sample_rate: int, step: int) -> None: ...

    @abstractmethod
    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None: ...

    def apart(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> list[list[Any]]:
        """The rows with a key in place of each picture and sound, which are logged by themselves."""
        return [
            [self._plain(f"{key}/{column}/{number}", cell, step) for column, cell in zip(columns, row, strict=True)]
            for number, row in enumerate(rows)
        ]

    def _plain(self, key: str, cell: Any, step: int) -> Any:
        if isinstance(cell, Image.Image):
            self.picture(key, cell, step)
            return key
        if isinstance(cell, Sound):
            self.audio(key, cell.waveform, cell.sample_rate, step)
            return key
        return cell


def write_png(picture: Image.Image, path: Path) -> None:
    """Writes a picture; more compression would take longer than the drawing."""
    picture.save(path, compress_level=1)
