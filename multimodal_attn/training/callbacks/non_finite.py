"""Skips steps whose gradient is not finite, and stops a run that has many in a row."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from multimodal_attn.ranges import Count


class TrainingDivergedError(ValueError):
    """Too many steps in a row had no finite gradient."""


class SkipNonFinite(pl.Callback):
    """A non-finite loss gives a non-finite gradient, so that the gradient is the one thing to look at.

    Logs ``train/skipped_steps``, the number so far.

    Args:
        max_in_a_row: the run stops after this many skipped steps in a row.
    """

    def __init__(self, max_in_a_row: Count = 20) -> None:
        self.max_in_a_row = max_in_a_row
        self.skipped = 0
        self.in_a_row = 0

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        if not gradients:
            return
        # One number for all: a NaN or an infinity anywhere survives the sum of norms.
        if bool(torch.stack(torch._foreach_norm(gradients)).sum().isfinite()):
            self.in_a_row = 0
            return
        # Without gradients the optimizer changes neither a parameter nor its own averages.
        optimizer.zero_grad(set_to_none=True)
        self.skipped += 1
        self.in_a_row += 1
        pl_module.log("train/skipped_steps", float(self.skipped))
        if self.in_a_row >= self.max_in_a_row:
            raise TrainingDivergedError(
                f"{self.in_a_row} steps in a row had a non-finite loss or gradient, so training stopped. Try a lower"
                " optimizer.lr, a lower trainer.gradient_clip_val, or trainer.precision=32; then look at the last"
                " lines of metrics.jsonl. The last good state is in checkpoints/last.ckpt."
            )

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = int(state_dict["skipped"])
