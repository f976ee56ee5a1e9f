"""Trains a language model on texts alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.training.base import TrainingModule
from multimodal_attn.types import PAD, Batch


class LanguageModelModule(TrainingModule):
    """Minimizes the cross-entropy of each next token; reports the perplexity per token, <eos> counted.

    Args:
        model: to train.
        tokenizer: between its tokens and text.
        optimizer, scheduler, seed, config: of ``TrainingModule``.
    """

    model: LanguageModel

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        optimizer: Callable[[LanguageModel], Optimizer],
        scheduler: Callable[..., Any] | None,
        seed: int = 0,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(model, optimizer, scheduler, seed, config)
        self.tokenizer = tokenizer

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The mean over the batch's tokens, and how many these are."""
        tokens = batch.tokens[:, 0]
        labels = tokens[:, 1:]
        logits = self.model(tokens[:, :-1]).float()
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=PAD)
        return loss, int((labels != PAD).sum())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, number = self._loss(batch)
        self.log_loss(loss, number)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss, number = self._loss(batch)
        # Weighted by tokens, so that the mean over batches is the mean over all tokens.
        self.log("val/loss", loss, batch_size=number)

    def on_validation_epoch_end(self) -> None:
        perplexity = math.exp(min(100.0, float(self.trainer.callback_metrics["val/loss"])))
        self.log("val/perplexity", perplexity, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Plain containers only, as in ``Seq2SeqModule``.
        checkpoint["hyper_parameters"] = {"config": self.config, "tokenizer": self.tokenizer.state()}
