"""Trains a predictor with Lightning: any encoder, any decoder, any objectives; validated by decoding freely."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import ModuleDict
from torch.optim import Optimizer

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.distributed import gather
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.ranges import Share
from multimodal_attn.training.base import TrainingModule
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Memory


@dataclass(frozen=True)
class ScheduledSampling:
    """How often a training step reads a token that the model drew itself (Bengio et al. 2015).

    Args:
        probability: at the end of the ramp.
        ramp: first and last share of the training between which it rises from 0.
    """

    probability: Share = 0.0
    ramp: tuple[Share, Share] = (0.0, 0.5)

    def at(self, progress: float) -> float:
        """The probability after a share of the training."""
        first, last = self.ramp
        return self.probability * min(1.0, max(0.0, (progress - first) / max(1e-9, last - first)))


class Seq2SeqModule(TrainingModule):
    """Trains a predictor's model.

    Args:
        predictor: whose model learns, and whose search decodes the validation set, with the same code as at test.
        objectives: name -> objective; their weighted sum is the loss, and each is logged under its name.
        scores: of the texts that validation writes.
        sampling: scheduled sampling.
        optimizer, scheduler, seed, config: of ``TrainingModule``.
    """

    model: Seq2Seq

    def __init__(
        self,
        predictor: Predictor,
        objectives: Mapping[str, Objective],
        scores: TextScores,
        optimizer: Callable[[Seq2Seq], Optimizer],
        scheduler: Callable[..., Any] | None = None,
        sampling: ScheduledSampling = ScheduledSampling(),
        seed: int = 0,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(predictor.model, optimizer, scheduler, seed, config)
        self.predictor = predictor
        self.objectives: Mapping[str, Objective] = ModuleDict(objectives)  # type: ignore[assignment]
        self.scores, self.sampling = scores, sampling
        self.attention_scores = AttentionScores()
        self._written: list[tuple[int, int, str, list[str]]] = []  # batch, place in it, hypothesis, references
        self._val_losses: list[tuple[int, dict[str, float]]] = []  # size of each batch, and its losses

    # --------------------------------------------------------------------------------------------- training

    def on_fit_start(self) -> None:
        data: DataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        for objective in self.objectives.values():
            objective.prepare(data)
        train = data.source("train")
        if train.reader.unit == "seconds":
            self.predictor.max_seconds = max(train.lengths())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        if len(batch) == 0:  # every file of the batch was unreadable
            if self.trainer.world_size == 1:
                return None
            # The other processes wait for gradients.
            return torch.stack([parameter.sum() for parameter in self.model.parameters()]).sum() * 0.0
        if any(objective.needs_output for objective in self.objectives.values()):
            progress = self.global_step / max(1, self.trainer.estimated_stepping_batches)
            output, memory = self.model(batch, self.sampling.at(progress) if self.sampling.probability else 0.0)
        else:
            output, memory = None, self.model.encode(batch)
        loss, parts = self.losses(batch, memory, output)
        size = len(batch)
        self.log_dict({f"train/{name}": part for name, part in parts.items()}, batch_size=size)
        self.log_loss(loss, size)
        return loss

    def losses(self, batch: Batch, memory: Memory, output: DecoderOutput | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what each objective gives before it is weighted."""
        parts = {name: objective(self.model, batch, memory, output) for name, objective in self.objectives.items()}
        total = sum(self.objectives[name].weight_in(self.current_epoch) * part for name, part in parts.items())
        return torch.as_tensor(total), parts

    # ------------------------------------------------------------------------------------------- validation

    def on_validation_epoch_start(self) -> None:
        self._written, self._val_losses = [], []
        self.attention_scores = AttentionScores()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any] | None:
        """Scores a batch; gives callbacks its memory and the best hypotheses, so that none decodes again."""
        if len(batch) == 0:
            return None
        output, memory = self.model(batch)
        loss, parts = self.losses(batch, memory, output)
        self._val_losses.append((len(batch), {name: float(value) for name, value in {**parts, "loss": loss}.items()}))
        predictor = self.predictor
        best = [hypotheses[0] for hypotheses in predictor.decode(memory, batch.keys)]
        for index, hypothesis in enumerate(best):
            references = [target.text for target in batch.targets[index]]
            text = predictor.tokenizer.of_source(batch.source_texts[index]).decode(hypothesis.tokens)
            self._written.append((batch_idx, index, text, references))
        self.attention_scores.update(batch, memory, output, best, predictor.tokenizer, predictor.source_tokenizer)
        return {"memory": memory, "hypotheses": best}

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of the whole set, which every process has decoded a share of."""
        # Batch n of rank r is number n * world_size + r of the set, so that the order of the set comes back.
        shares = enumerate(gather((self._written, self._val_losses, self.attention_scores)))
        written, losses, attention_scores = [], [], AttentionScores()
        for rank, (share, share_losses, share_scores) in shares:
            written += [(batch, rank, *rest) for batch, *rest in share]
            losses += share_losses
            attention_scores.merge(share_scores)
        if not written:
            raise ValueError("data: no validation example could be read; skipped.txt in the run's folder lists them")
        total = sum(size for size, _ in losses)
        for name in losses[0][1]:
            self.log(f"val/{name}", sum(size * values[name] for size, values in losses) / total)
        *_, hypotheses, references = zip(*sorted(written), strict=True)
        scores = {**self.scores(list(hypotheses), list(references)), **attention_scores.compute()}
        for name, value in scores.items():
            self.log(f"val/{name}", value, prog_bar=name == self.scores.monitor)

    # ------------------------------------------------------------------------------------------- checkpoint

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Plain containers only: the file loads with weights_only=True and rebuilds the run by itself.
        predictor = self.predictor
        checkpoint["hyper_parameters"] = {"config": self.config, "tokenizer": predictor.tokenizer.state()}
        if predictor.source_tokenizer is not None:
            checkpoint["hyper_parameters"]["source_tokenizer"] = predictor.source_tokenizer.state()
        if predictor.max_seconds is not None:
            checkpoint["hyper_parameters"]["max_seconds"] = predictor.max_seconds
