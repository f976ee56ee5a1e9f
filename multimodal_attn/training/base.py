"""What every LightningModule of this package does in a step: its random numbers, its optimizer, its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from multimodal_attn.types import Batch


class TrainingModule(pl.LightningModule):
    """Trains a model; a subclass says what the loss is.

    Args:
        model: to train.
        optimizer: makes the optimizer from the model.
        scheduler: makes the schedule from the optimizer and ``total_steps``, or None.
        seed: of every random draw in training.
        config: plain containers that rebuild the whole run; they travel in the checkpoint.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Any], Optimizer],
        scheduler: Callable[..., Any] | None,
        seed: int,
        config: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.model = model
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.seed, self.config = seed, config or {}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Gives every step random numbers of its own, so that a resumed run equals an uninterrupted one."""
        number = batch_idx * self.trainer.world_size + self.global_rank  # processes do not share their draws
        torch.manual_seed((self.seed + 1) * 1_000_003 + self.current_epoch * 100_003 + number)
        return None

    def log_loss(self, loss: Tensor, batch_size: int) -> None:
        """Logs the loss of a training step and the learning rate."""
        self.log("train/loss", loss, prog_bar=True, batch_size=batch_size)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=batch_size)

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.model)
        if self.make_scheduler is None:
            return optimizer
        schedule = self.make_scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips the norm of all gradients; Lightning refuses fused optimizers in bf16, where nothing is scaled."""
        if gradient_clip_val and self.trainer.precision != "16-mixed" and gradient_clip_algorithm in (None, "norm"):
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
