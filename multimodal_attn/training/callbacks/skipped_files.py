"""Counts what could not be read, or not to its end, and lists it in files."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

from multimodal_attn.data.reading.files import write_skipped
from multimodal_attn.distributed import gather
from multimodal_attn.types import Batch, UnreadableError


class SkippedFiles(pl.Callback):
    """Writes ``skipped.txt`` into the run's folder, each file once, and says so once an epoch; and ``cut.txt``, of the
    sources whose end is not read, when training begins.

    Args:
        run_dir: of the run.
    """

    def __init__(self, run_dir: str) -> None:
        self.path = Path(run_dir) / "skipped.txt"
        self.reasons: dict[str, str] = {}
        self._reported = 0

    def add(self, errors: list[UnreadableError]) -> None:
        """Notes what was skipped."""
        for error in errors:
            self.reasons.setdefault(error.path, error.reason)

    def report(self) -> None:
        """Writes the list of all processes, if it has grown."""
        for reasons in gather(self.reasons):
            self.reasons = {**reasons, **self.reasons}
        if len(self.reasons) > self._reported:
            self._reported = len(self.reasons)
            self._write()

    @rank_zero_only
    def _write(self) -> None:
        write_skipped(self.path, [UnreadableError(path, reason) for path, reason in self.reasons.items()])
        what = "1 example" if self._reported == 1 else f"{self._reported} examples"
        rank_zero_info(f"{what} could not be used ({self._counts()}): see {self.path}")

    @rank_zero_only
    def _write_cut(self, cut: list[UnreadableError]) -> None:
        write_skipped(self.path.with_name("cut.txt"), cut)
        what = "source is" if len(cut) == 1 else "sources are"
        rank_zero_info(f"{len(cut)} {what} read only up to a limit: see {self.path.with_name('cut.txt')}")

    def _counts(self) -> str:
        """How often each reason occurs, without its particulars; at most five kinds."""
        kinds = Counter(re.split(r" \(|: ", reason)[0] for reason in self.reasons.values())
        named = [f"{number} {kind}" for kind, number in kinds.most_common(5)]
        return "; ".join(named + ["..."] * (len(kinds) > 5))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        for split in ("train", "val"):
            self.add(datamodule.skipped(split))
        self.report()
        if cut := [error for split in ("train", "val") for error in datamodule.source(split).cut]:
            self._write_cut(cut)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.add(batch.skipped)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.add(batch.skipped)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self.report()

    def state_dict(self) -> dict[str, Any]:
        return {"reasons": self.reasons}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.reasons = dict(state_dict["reasons"])
