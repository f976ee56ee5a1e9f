"""Makes every checkpoint one of a whole step of the optimizer, from which a run goes on exactly."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer import call
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.types import Batch

_BATCHES, _VALIDATION = "epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress"
_DATA = DataModule.__qualname__  # where Lightning keeps the state of a data module


class WholeSteps(pl.Callback):
    """Counts the batches of an epoch where the weights have moved, in the checkpoint and for the data.

    Lightning counts a batch when all of its hooks have run. A checkpoint that is written before (every n steps, or
    by an exception) is one batch behind its weights; one within a group of ``trainer.accumulate_grad_batches`` counts
    batches whose gradients are lost. Here the first counts its batch, and the second none of the group: the resumed
    run does the whole group again, and a validation that falls into it. What the group has changed already, the
    buffers (such as the statistics of BatchNorm), and what the validation has, the states of callbacks (such as the
    patience of early stopping), are saved as they were before. So are these states wherever a validation is stopped and
    will be done again.

    A checkpoint of the middle of an epoch says how the epoch is shared out in batches. Where that is no longer so
    (another ``data.batch_size``, ``trainer.devices``, seed, or other data), the epoch starts anew, with a warning.

    It must come after the callbacks that change weights.
    """

    def __init__(self) -> None:
        # When the group of batches began that the next step of the optimizer takes: all None before the first.
        self._epoch: int | None = None
        self._batches, self._steps = 0, 0
        self._buffers: dict[str, Tensor] = {}
        self._callbacks: dict[str, Any] | None = None  # their states before a validation within the group
        self._validated: tuple[int, dict[str, Any]] | None = None  # the step of the last validation; states before it
        self._averaged = False  # in a validation the model has the average of its weights, if there is one

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        states = deepcopy(call._call_callbacks_state_dict(trainer))
        self._validated = (trainer.global_step, states)
        if self._epoch is not None and trainer.global_step == self._steps and self._callbacks is None:
            self._callbacks = states

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._averaged = True

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._averaged = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if self._epoch == trainer.current_epoch and self._steps == trainer.global_step:
            return  # within a group
        self._epoch, self._batches, self._steps = trainer.current_epoch, batch_idx, trainer.global_step
        self._callbacks = None
        buffers = dict(pl_module.named_buffers())
        if not self._buffers:
            kept = pl_module.state_dict().keys() & buffers.keys()
            self._buffers = {name: torch.empty_like(buffers[name]) for name in sorted(kept)}
        if self._buffers:
            torch._foreach_copy_(list(self._buffers.values()), [buffers[name] for name in self._buffers])

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # "current_model_state" stands beside an average of the weights, which then is the "state_dict".
        if self._averaged and "current_model_state" in checkpoint:
            average = checkpoint["current_model_state"]
            checkpoint |= {"current_model_state": checkpoint["state_dict"], "state_dict": average}
        fit = checkpoint["loops"]["fit_loop"]
        loop, progress = trainer.fit_loop.epoch_loop, trainer.fit_loop.epoch_loop.batch_progress.current
        done = progress.completed
        if self._validated is not None and self._validated[0] == trainer.global_step and _is_begun(fit[_VALIDATION]):
            checkpoint["callbacks"] = self._validated[1]
        if self._epoch is not None:
            moved = trainer.global_step > self._steps
            done = progress.processed if moved else self._batches  # type: ignore[attr-defined]
            if not moved:
                weights = checkpoint.get("current_model_state", checkpoint["state_dict"])
                weights.update({name: buffer.clone() for name, buffer in self._buffers.items()})
                if self._callbacks is not None:
                    checkpoint["callbacks"] = self._callbacks
                    _begin_validation(fit[_VALIDATION], 0)
        last = 0 < done >= trainer.num_training_batches
        # Lightning counts an epoch as done before the next one begins.
        epoch = trainer.current_epoch if self._epoch is None or not last else self._epoch
        if not (progress.ready == progress.completed == done):
            within_hooks = progress.completed < done == progress.ready
            unvalidated = within_hooks and loop._should_check_val_fx(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]
            if not (within_hooks and last and not unvalidated):  # Lightning knows how to go on from there
                _count(fit, done, last, trainer.global_step - unvalidated)
            if unvalidated:
                _begin_validation(fit[_VALIDATION], 1)
        begins = (epoch + 1, 0) if last else (epoch, done)
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        plan = data.fingerprint(epoch) if begins[1] else None
        checkpoint[_DATA] = {"epoch": begins[0], "batches_done": begins[1], "plan": plan}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        saved = checkpoint[_DATA]
        epoch, done = saved["epoch"], saved["batches_done"]
        if done and saved["plan"] != data.fingerprint(epoch):
            rank_zero_warn(
                f"resume: the checkpoint was written after {done} batches of epoch {epoch}, and its batches are others"
                " now (data.batch_size, trainer.devices, the seed or the data differ); the epoch starts anew"
            )
            done = 0
            _count(checkpoint["loops"]["fit_loop"], done, False, checkpoint["global_step"])
        data.begin_at(epoch, done)


def finish_hooks(trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
    """Lets a batch end whose weights have moved, where an exception in a hook has kept it from that."""
    progress = trainer.fit_loop.epoch_loop.batch_progress.current
    if progress.completed < progress.processed:  # type: ignore[attr-defined]
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):
                callback.on_train_batch_end(trainer, pl_module, None, None, progress.ready - 1)
        trainer._logger_connector.on_batch_end()
        trainer._logger_connector.update_train_step_metrics()


def _is_begun(progress: dict[str, Any]) -> bool:
    """Whether a validation is to be done again from its beginning, see ``_begin_validation``."""
    total, current = progress["total"], progress["current"]
    return total["started"] == 1 and total["processed"] == 0 and current["ready"] == 0


def _begin_validation(progress: dict[str, Any], begun: int) -> None:
    """Makes the progress of a validation loop that of one which has begun (1) or not (0); not one batch is done."""
    nothing = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
    progress.update(total={**nothing, "ready": begun, "started": begun}, current=nothing, is_last_batch=False)


def _count(fit: dict[str, Any], done: int, last: bool, logged: int) -> None:
    """Sets the number of batches that an epoch has done, and of the steps that loggers have heard of."""
    progress = fit[_BATCHES]
    earlier = progress["total"]["ready"] - progress["current"]["ready"]
    for kind, number in (("total", earlier + done), ("current", done)):
        progress[kind] = dict.fromkeys(progress[kind], number)
    if done == 0:
        # As if one had got ready and not started: Lightning would take no batch at all for the end of a validation.
        progress["total"]["ready"] += 1
        logged -= 1
    progress["is_last_batch"] = last
    fit["epoch_loop.state_dict"]["_batches_that_stepped"] = logged
