"""Media in W&B."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from multimodal_attn.inspection.views.base import Sound
from multimodal_attn.tracking.backend import Backend, write_png
from multimodal_attn.writing import write_file


def check_login(logger: WandbLogger) -> None:
    """Refuses to log to W&B without an account, before it asks for one.

    Raises:
        ValueError: says what to do.
    """
    import wandb

    online = os.environ.get("WANDB_MODE", "online") == "online" and not logger._offline
    if online and not wandb.login(prompt=False):
        raise ValueError("logger: W&B is not logged in here; run wandb login first, or set WANDB_MODE=offline")


class WandbBackend(Backend[WandbLogger]):
    """Pictures and sounds stand in the cells of tables."""

    def picture(self, key: str, picture: Image.Image, step: int) -> None:
        import wandb

        with TemporaryDirectory() as folder:
            # W&B copies the file at once; of a picture it would make one with a compression of its own, slowly.
            path = Path(folder) / "picture.png"
            write_png(picture, path)
            self._log(key, wandb.Image(str(path)), step)

    def page(self, key: str, path: Path, step: int) -> None:
        import wandb

        self._log(key, wandb.Html(Path(path).read_text(encoding="utf-8"), inject=False), step)

    def audio(self, key: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
        import wandb

        self._log(key, wandb.Audio(waveform, sample_rate=sample_rate), step)

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        import wandb

        with TemporaryDirectory() as folder:
            data = [[_cell(cell, Path(folder)) for cell in row] for row in rows]
            self._log(key, wandb.Table(columns=list(columns), data=data), step)

    def _log(self, key: str, value: Any, step: int) -> None:
        # W&B's own step only ever grows; media carry the trainer's step as a value, as Lightning's metrics do.
        self.logger.experiment.log({key: value, "trainer/global_step": step})


def with_run_id(loggers: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of loggers, where W&B's have the run id that is kept in a run's folder: a resumed run is the same.

    Args:
        loggers: name -> node of ``conf/logger``.
        folder: of the run.
    """
    kind = f"{WandbLogger.__module__.partition('.')[0]}.loggers.{WandbLogger.__name__}"
    found = {}
    for name, node in loggers.items():
        if node and node.get("_target_") == kind and node.get("id") is None:
            path = folder / "wandb" / f"{name}.id"
            if rank_zero_only.rank == 0 and not path.is_file():  # type: ignore[attr-defined]
                write_file(path, secrets.token_hex(4))
            node = {**node, "id": path.read_text(encoding="utf-8").strip()} if path.is_file() else node
        found[name] = node
    return found


def _cell(cell: Any, folder: Path) -> Any:
    """A cell of a W&B table; a picture's file has to last until the table has been logged."""
    import wandb

    if isinstance(cell, Image.Image):
        path = folder / f"{len(list(folder.iterdir()))}.png"
        write_png(cell, path)
        return wandb.Image(str(path))
    return wandb.Audio(cell.waveform, sample_rate=cell.sample_rate) if isinstance(cell, Sound) else cell
