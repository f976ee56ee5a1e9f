"""What every LightningModule of this package does with its optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer


def optimizers_and_schedules(
    module: pl.LightningModule, optimizer: Optimizer, scheduler: Callable[..., Any] | None
) -> Any:
    """What ``configure_optimizers`` returns: the schedule moves on with every step of the optimizer."""
    if scheduler is None:
        return optimizer
    schedule = scheduler(optimizer, total_steps=int(module.trainer.estimated_stepping_batches))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def clip_gradients(
    module: pl.LightningModule, optimizer: Optimizer, maximum: float | None, algorithm: str | None
) -> None:
    """Clips the norm of all gradients; Lightning refuses fused optimizers in bf16, where nothing is scaled."""
    if maximum and module.trainer.precision != "16-mixed" and algorithm in (None, "norm"):
        torch.nn.utils.clip_grad_norm_(module.parameters(), maximum)
    else:
        module.clip_gradients(optimizer, maximum, algorithm)
