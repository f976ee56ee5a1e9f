"""Trains an encoder of texts to tell the words that are hidden from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from multimodal_attn.data.loading.word_masking import VALIDATION, WordMasking, draws
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.masked_language_model import MaskedLanguageModel
from multimodal_attn.training.base import TrainingModule
from multimodal_attn.types import Batch


class MaskedLanguageModelModule(TrainingModule):
    """Minimizes the cross-entropy of hidden tokens; reports their perplexity, and the share of hidden words found.

    Each epoch hides other words of a text (Liu et al. 2019, RoBERTa, section 4.1), drawn from the seed, the epoch and
    the text's key alone. Validation always hides the same, and all of them: none is replaced or left as it is.

    Args:
        model: to train.
        tokenizer: between its tokens and text.
        masking: hides words.
        optimizer, scheduler, seed, config: of ``TrainingModule``.
    """

    model: MaskedLanguageModel

    def __init__(
        self,
        model: MaskedLanguageModel,
        tokenizer: Tokenizer,
        masking: WordMasking,
        optimizer: Callable[[MaskedLanguageModel], Optimizer],
        scheduler: Callable[..., Any] | None,
        seed: int = 0,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(model, optimizer, scheduler, seed, config)
        self.tokenizer, self.masking = tokenizer, masking
        self.hiding = replace(masking, masked=1.0, random=0.0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, number, _, _ = self._loss(batch, self.masking, str(self.current_epoch))
        self.log_loss(loss, number)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss, number, right, words = self._loss(batch, self.hiding, VALIDATION)
        # Weighted by tokens and words, so that the means over batches are those over all of them.
        self.log("val/loss", loss, batch_size=number)
        self.log("val/masked_accuracy", right / max(1, words), batch_size=words, prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        perplexity = math.exp(min(100.0, float(self.trainer.callback_metrics["val/loss"])))
        self.log("val/masked_perplexity", perplexity, prog_bar=True)

    def _loss(self, batch: Batch, masking: WordMasking, draw: str) -> tuple[Tensor, int, int, int]:
        """The mean over hidden tokens, how many these are, how many hidden words are found, and of how many."""
        tokens, mask = batch.tokens[:, 0, 1:], batch.token_mask[:, 0, 1:]  # from <bos> on to what an encoder reads
        read, hidden = tokens.clone(), torch.zeros_like(mask)
        word_of: list[int] = []  # of each hidden token, in the order of rows
        words = 0
        for row, (key, text, length) in enumerate(zip(batch.keys, tokens.tolist(), mask.sum(1).tolist(), strict=True)):
            found = masking(text[: length - 1], self.tokenizer, draws(self.seed, draw, key))
            read[row, : length - 1] = torch.tensor(found.tokens, device=tokens.device)
            for first, stop in found.words:
                hidden[row, first:stop] = True
                word_of += [words] * (stop - first)
                words += 1
        logits, labels = self.model(read, mask.sum(1), hidden).float(), tokens[hidden]
        loss = functional.cross_entropy(logits, labels, reduction="sum") / max(1, len(labels))
        wrong = (logits.argmax(-1) != labels).tolist()
        missed = {word for word, failed in zip(word_of, wrong, strict=True) if failed}
        return loss, len(labels), words - len(missed), words

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Plain containers only, as in ``Seq2SeqModule``.
        checkpoint["hyper_parameters"] = {"config": self.config, "tokenizer": self.tokenizer.state()}
