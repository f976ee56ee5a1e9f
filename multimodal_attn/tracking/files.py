"""Metrics and media as plain files."""

from __future__ import annotations

import json
import math
import re
import shutil
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile
from PIL import Image
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from multimodal_attn.tracking.backend import Backend, write_png


class FileLogger(Logger):
    """Plain files: ``metrics.jsonl``, one object a logging step, and ``media/``.

    A resumed run appends to what is there.

    Args:
        save_dir: folder of the run.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.folder = Path(save_dir)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.folder)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Appends a line; what JSON has no number for (NaN, infinity) becomes null."""
        line: dict[str, Any] = {"step": step}
        for name, value in metrics.items():
            number = float(value)
            line[name] = int(number) if name == "epoch" else number if math.isfinite(number) else None
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "metrics.jsonl").open("ab+") as file:
            # A run that was killed may have left half a line, which would swallow this one.
            if file.seek(0, 2) and not self._ends_whole(file):
                file.write(b"\n")
            file.write(json.dumps(line, allow_nan=False).encode() + b"\n")

    @staticmethod
    def _ends_whole(file: IO[bytes]) -> bool:
        file.seek(-1, 2)
        return file.read(1) == b"\n"

    def media(self, key: str, step: int, suffix: str) -> Path:
        """The path for a file of this key and step; its folder exists. Slashes in the key make folders."""
        # A key may hold an example's key, and that any character: none may lead out of the folder.
        parts = [re.sub(r"[^\w.=+-]", "_", part).lstrip(".") for part in key.split("/")]
        folder = self.folder.joinpath("media", *(part for part in parts if part))
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"step_{step:06d}{suffix}"


class FileBackend(Backend[FileLogger]):
    """A file for each picture, page, sound and table."""

    def picture(self, key: str, picture: Image.Image, step: int) -> None:
        write_png(picture, self.logger.media(key, step, ".png"))

    def page(self, key: str, path: Path, step: int) -> None:
        shutil.copyfile(path, self.logger.media(key, step, ".html"))

    def audio(self, key: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
        soundfile.write(self.logger.media(key, step, ".flac"), waveform, sample_rate)

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        plain = self.apart(key, columns, rows, step)
        objects = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in plain)
        path = self.logger.media(key, step, ".jsonl")
        path.write_text("".join(line + "\n" for line in objects), encoding="utf-8")
