"""Logs what a training step takes: time and memory."""

from __future__ import annotations

import resource
import time
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch

from multimodal_attn.types import Batch


class StepCost(pl.Callback):
    """Logs ``train/step_seconds`` and ``train/peak_memory_mb`` once an epoch.

    The first is the median time from a batch at hand to the optimizer's step. The median, because a step that shares
    the machine with something else, or the first one, says little of the rest. On a GPU a step may end later than we
    know; over many steps the two keep pace. The second is the most memory of all that has run so far.
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
            pl_module.log("train/peak_memory_mb", peak_memory_mb(pl_module.device))


def peak_memory_mb(device: torch.device | str) -> float:
    """The most memory so far: resident memory of the process on a CPU, of torch's tensors on a GPU."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
