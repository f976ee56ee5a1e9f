"""One face for numbers, pictures, pages and tables: W&B, TensorBoard or plain files, whichever loggers a run has."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities import rank_zero_only

from multimodal_attn.inspection.views.base import Sound

log = logging.getLogger(__name__)
_without_media: set[type[Logger]] = set()  # kinds of loggers that have been told of


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


@rank_zero_only
def log_picture(loggers: Iterable[Logger], key: str, picture: Image.Image, step: int) -> None:
    """Logs a picture."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            with TemporaryDirectory() as folder:
                # W&B copies the file at once; of a picture it would make one with a compression of its own, slowly.
                path = Path(folder) / "picture.png"
                _write_png(picture, path)
                _log_to_wandb(logger, key, wandb.Image(str(path)), step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(key, np.asarray(picture), step, dataformats="HWC")
        elif isinstance(logger, FileLogger):
            _write_png(picture, logger.media(key, step, ".png"))
        else:
            _skip(logger)


def _write_png(picture: Image.Image, path: Path) -> None:
    picture.save(path, compress_level=1)  # more compression would take longer than the drawing


@rank_zero_only
def log_page(loggers: Iterable[Logger], key: str, path: Path, step: int) -> None:
    """Logs a self-contained HTML file. TensorBoard has no place for one and gets its path as text."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            _log_to_wandb(logger, key, wandb.Html(Path(path).read_text(encoding="utf-8"), inject=False), step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(key, str(path), step)
        elif isinstance(logger, FileLogger):
            shutil.copyfile(path, logger.media(key, step, ".html"))
        else:
            _skip(logger)


@rank_zero_only
def log_table(
    loggers: Iterable[Logger], key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int
) -> None:
    """Logs a table of plain values, pictures and sounds.

    Only W&B shows the latter in their cells. Elsewhere they are logged by themselves, and the cell has their key.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            with TemporaryDirectory() as folder:
                data = [[_to_wandb(cell, Path(folder)) for cell in row] for row in rows]
                _log_to_wandb(logger, key, wandb.Table(columns=list(columns), data=data), step)
            continue
        plain = [
            [_apart(logger, f"{key}/{column}/{number}", cell, step) for column, cell in zip(columns, row, strict=True)]
            for number, row in enumerate(rows)
        ]
        if isinstance(logger, TensorBoardLogger):
            cells = [[_markdown(cell) for cell in row] for row in (columns, ["---"] * len(columns), *plain)]
            lines = [f"|{'|'.join(row)}|" for row in cells]
            logger.experiment.add_text(key, "\n".join(lines), step)
        elif isinstance(logger, FileLogger):
            objects = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in plain)
            logger.media(key, step, ".jsonl").write_text("".join(line + "\n" for line in objects), encoding="utf-8")
        else:
            _skip(logger)


@rank_zero_only
def log_audio(loggers: Iterable[Logger], key: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
    """Logs a mono waveform.

    Shapes:
        waveform: (L,) float32 in [-1, 1].
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            _log_to_wandb(logger, key, wandb.Audio(waveform, sample_rate=sample_rate), step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_audio(key, waveform[None], step, sample_rate=sample_rate)
        elif isinstance(logger, FileLogger):
            import soundfile

            soundfile.write(logger.media(key, step, ".flac"), waveform, sample_rate)
        else:
            _skip(logger)


def _to_wandb(cell: Any, folder: Path) -> Any:
    """A cell of a W&B table; a picture's file has to last until the table has been logged."""
    import wandb

    if isinstance(cell, Image.Image):
        path = folder / f"{len(list(folder.iterdir()))}.png"
        _write_png(cell, path)
        return wandb.Image(str(path))
    return wandb.Audio(cell.waveform, sample_rate=cell.sample_rate) if isinstance(cell, Sound) else cell


def _apart(logger: Logger, key: str, cell: Any, step: int) -> Any:
    """A plain cell as it is; of a picture or sound, which is logged here, its key."""
    if isinstance(cell, Image.Image):
        log_picture([logger], key, cell, step)
        return key
    if isinstance(cell, Sound):
        log_audio([logger], key, cell.waveform, cell.sample_rate, step)
        return key
    return cell


def _markdown(cell: Any) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")


def _skip(logger: Logger) -> None:
    """Says once for each kind of logger that it gets no media; Lightning's dry runs log nowhere on purpose."""
    if isinstance(logger, DummyLogger) or type(logger) in _without_media:
        return
    _without_media.add(type(logger))
    log.warning("%s gets no pictures, pages, tables or audio: no way to log them there", type(logger).__name__)


def _log_to_wandb(logger: WandbLogger, key: str, value: Any, step: int) -> None:
    # W&B's own step only ever grows; media carry the trainer's step as a value, as Lightning's metrics do.
    logger.experiment.log({key: value, "trainer/global_step": step})
