"""Trains a language model on texts alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.training.optimization import clip_gradients, optimizers_and_schedules
from multimodal_attn.types import PAD, Batch


class LanguageModelModule(pl.LightningModule):
    """Minimises the cross-entropy of each next token; reports the perplexity per token, <eos> counted.

    Args:
        model: to train.
        tokenizer: between its tokens and text.
        optimizer: makes the optimizer from the model.
        scheduler: makes the schedule from the optimizer and ``total_steps``, or None.
        seed: of every random draw in training.
        config: plain containers that rebuild the whole run; they travel in the checkpoint.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        optimizer: Callable[[LanguageModel], Optimizer],
        scheduler: Callable[..., Any] | None,
        seed: int = 0,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.seed, self.config = seed, config or {}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Gives every step random numbers of its own, so that a resumed run equals an uninterrupted one."""
        number = batch_idx * self.trainer.world_size + self.global_rank  # processes do not share their draws
        torch.manual_seed((self.seed + 1) * 1_000_003 + self.current_epoch * 100_003 + number)
        return None

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The mean over the batch's tokens, and how many these are."""
        tokens = batch.tokens[:, 0]
        labels = tokens[:, 1:]
        logits = self.model(tokens[:, :-1]).float()
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=PAD)
        return loss, int((labels != PAD).sum())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, number = self._loss(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=number)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=number)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss, number = self._loss(batch)
        # Weighted by tokens, so that the mean over batches is the mean over all tokens.
        self.log("val/loss", loss, batch_size=number)

    def on_validation_epoch_end(self) -> None:
        perplexity = math.exp(min(100.0, float(self.trainer.callback_metrics["val/loss"])))
        self.log("val/perplexity", perplexity, prog_bar=True)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        clip_gradients(self, optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> Any:
        return optimizers_and_schedules(self, self.make_optimizer(self.model), self.make_scheduler)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Plain containers only, as in ``Seq2SeqModule``.
        checkpoint["hyper_parameters"] = {"config": self.config, "tokenizer": self.tokenizer.state()}
