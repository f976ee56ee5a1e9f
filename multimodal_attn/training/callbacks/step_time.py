"""Logs how long a training step takes."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytorch_lightning as pl

from multimodal_attn.types import Batch


class StepTime(pl.Callback):
    """Logs ``train/step_seconds`` once an epoch: the median time from a batch at hand to the optimiser's step.

    The median, because a step that shares the machine with something else, or the first one, says little of the rest.
    On a GPU a step may end later than Python knows; over many steps the two keep pace.
    """

    def __init__(self) -> None:
        self._started = 0.0
        self._seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._seconds = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self._seconds.append(time.perf_counter() - self._started)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._seconds:
            pl_module.log("train/step_seconds", median(self._seconds))
