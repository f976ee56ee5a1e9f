"""Leaves a checkpoint behind when training stops before its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info

from multimodal_attn.training.callbacks.non_finite import TrainingDivergedError


class SaveOnException(pl.Callback):
    """On Ctrl-C or any error, saves the state of that moment as ``last``, from which ``resume=`` goes on.

    Between two epochs Lightning's progress counts the new epoch as done; the checkpoint of the validation before it,
    since which nothing has been learnt, is then the better one and stays.

    With several processes, an error of one alone leaves the checkpoint of the last validation.

    Lightning's own ``OnExceptionCheckpoint`` deletes its file at the end of every healthy run, which ``last`` must
    survive.

    Args:
        path: of the checkpoint.
        run_dir: what to tell the user to resume from.
    """

    def __init__(self, path: str, run_dir: str) -> None:
        self.path, self.run_dir = path, run_dir
        self.saved_at = -1  # optimiser steps when the last checkpoint was written

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.saved_at = trainer.global_step

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # All processes of a distributed training must save together, and an error may be that of one alone.
        together = trainer.world_size == 1 or isinstance(exception, KeyboardInterrupt | TrainingDivergedError)
        learnt_since = trainer.global_step > self.saved_at
        if together and (trainer.training or trainer.validating) and (learnt_since or not Path(self.path).is_file()):
            _validate_again(trainer)
            trainer.save_checkpoint(self.path)
        if Path(self.path).is_file():
            rank_zero_info(
                f"stopped in epoch {trainer.current_epoch}; go on with: python train.py resume={self.run_dir}"
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
