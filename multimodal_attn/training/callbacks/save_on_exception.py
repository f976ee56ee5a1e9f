"""Leaves a checkpoint behind when training stops before its end."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.optim import Optimizer

from multimodal_attn.command_lines import command_line
from multimodal_attn.training.callbacks.non_finite import TrainingDivergedError
from multimodal_attn.training.callbacks.whole_steps import finish_hooks
from multimodal_attn.types import Batch


class SaveOnException(pl.Callback):
    """On Ctrl-C, SIGTERM or any error, saves the last whole step as ``last``, from which ``resume=`` goes on.

    A signal lets the batch at hand end; a second Ctrl-C does not wait. What stops the optimizer in the middle of its
    step leaves the weights half changed, and the checkpoint of before stays.

    Between two epochs Lightning's progress counts the new epoch as done; the checkpoint of the validation before it,
    since which nothing has been learned, is then the better one and stays.

    With several processes, an error of one alone leaves the checkpoint of the last validation.

    Lightning's own ``OnExceptionCheckpoint`` deletes its file at the end of every healthy run, which ``last`` must
    survive.

    Args:
        path: of the checkpoint.
        run_dir: what to tell the user to resume from.
    """

    def __init__(self, path: str, run_dir: str) -> None:
        self.path, self.run_dir = path, run_dir
        self.saved_at = -1  # optimizer steps when the last checkpoint was written
        self.received: signal.Signals | None = None  # what has asked the training to stop
        self._stepping = False

    # --------------------------------------------------------------------------------------------- signals

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Receives SIGTERM in place of Lightning, which would tell the other processes of it by a broadcast, whatever
        they are waiting for."""
        trainer._signal_connector._sigterm_notifier_fn = self._receive  # type: ignore[method-assign, assignment]
        self._receive_signals(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Receives the signals until Lightning gives them back, when the training ends."""
        self._receive_signals(signal.SIGINT, signal.SIGTERM)

    def _receive_signals(self, *numbers: signal.Signals) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._stepping = False
        if trainer.world_size > 1:  # several stop at the same batch, whichever of them was asked to
            number = torch.tensor(self.received or 0, device=trainer.strategy.root_device)
            asked = int(trainer.strategy.reduce(number, reduce_op="max"))
            if not asked:  # a signal that has come while this process waited for the others waits for the next batch
                return
            self.received = signal.Signals(asked)
        if self.received is not None:
            raise SIGTERMException

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if self.received is not None and trainer.world_size == 1:  # several may have different numbers of batches
            raise SIGTERMException

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        self._stepping = True

    # ---------------------------------------------------------------------------------------------- saving

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.saved_at = trainer.global_step

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.saved_at = checkpoint["global_step"]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves what was learned since the last validation, where validations are counted in steps."""
        if trainer.global_step > max(0, self.saved_at):
            trainer.save_checkpoint(self.path)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # All processes of a distributed training must save together, and an error may be that of one alone.
        together = trainer.world_size == 1 or isinstance(exception, SIGTERMException | TrainingDivergedError)
        learned_since = trainer.global_step > self.saved_at
        progress = trainer.fit_loop.epoch_loop.batch_progress.current
        torn = self._stepping and progress.processed < progress.ready  # type: ignore[attr-defined]
        torn &= not isinstance(exception, TrainingDivergedError)  # which is raised before the step
        wanted = (trainer.training or trainer.validating) and (learned_since or not Path(self.path).is_file())
        if together and wanted and not torn:
            finish_hooks(trainer, pl_module)
            _validate_again(trainer)
            try:
                trainer.save_checkpoint(self.path)
            except OSError as error:
                rank_zero_warn(f"no checkpoint could be written: {error}")
        if Path(self.path).is_file():
            rank_zero_info(
                f"stopped in epoch {trainer.current_epoch}; go on with:"
                f" {command_line('train', f'resume={self.run_dir}')}"
            )


def _validate_again(trainer: pl.Trainer) -> None:
    """Lets a run that stopped in or just after a validation begin with all of it, so that its scores are there.

    Lightning does so for one that was cut off within a batch, and passes over any other.
    """
    loop = trainer.fit_loop.epoch_loop
    if trainer.validating or loop.batch_progress.current.completed >= trainer.num_training_batches:
        progress = loop.val_loop.batch_progress
        progress.reset()
        progress.increment_ready()
        progress.increment_started()
        progress.current.reset()  # begun, and not one batch done
