"""The only LightningModule: any encoder, any decoder, any objectives; validated by decoding freely."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.distributed import gather
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search import BeamSearch, Search
from multimodal_attn.training.objectives import BoxSupervision, WholeTextObjective
from multimodal_attn.types import Batch, DecoderOutput, Hypothesis, Memory, Span


class Seq2SeqModule(pl.LightningModule):
    """Trains a ``Seq2Seq``.

    Args:
        model: to train.
        tokenizer: between its tokens and text.
        objectives: name -> objective; their weighted sum is the loss, and each is logged under its name.
        search: decodes the validation set, with the same code as at test.
        scores: of the texts.
        optimizer: makes the optimiser from the model.
        scheduler: makes the schedule from the optimiser and ``total_steps``, or None.
        source_tokenizer: of sources that are texts.
        sampling_probability: scheduled sampling at the end of its ramp.
        sampling_ramp: (first, last) share of the training between which it rises from 0.
        seed: of every random draw in training.
        config: plain containers that rebuild the whole run; they travel in the checkpoint.
    """

    def __init__(
        self,
        model: Seq2Seq,
        tokenizer: Tokenizer,
        objectives: Mapping[str, nn.Module],
        search: Search,
        scores: TextScores,
        optimizer: Callable[[Seq2Seq], Optimizer],
        scheduler: Callable[..., Any] | None,
        source_tokenizer: Tokenizer | None = None,
        sampling_probability: float = 0.0,
        sampling_ramp: tuple[float, float] = (0.0, 0.5),
        seed: int = 0,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleDict(objectives)
        self.tokenizer, self.source_tokenizer, self.search, self.scores = tokenizer, source_tokenizer, search, scores
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.sampling_probability, self.sampling_ramp = sampling_probability, sampling_ramp
        self.seed, self.config = seed, config or {}
        self.attention_scores = AttentionScores()
        self._written: list[tuple[int, int, str, list[str]]] = []  # batch, place in it, hypothesis, references
        self._val_losses: list[tuple[int, dict[str, float]]] = []  # size of each batch, and its losses

    # --------------------------------------------------------------------------------------------- training

    def on_fit_start(self) -> None:
        for objective in self.objectives.values():
            if isinstance(objective, BoxSupervision | WholeTextObjective):
                objective.prepare(self.trainer.datamodule)  # type: ignore[attr-defined]

    def _whole_text_objectives(self) -> list[WholeTextObjective]:
        return [objective for objective in self.objectives.values() if isinstance(objective, WholeTextObjective)]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Gives every step random numbers of its own, so that a resumed run equals an uninterrupted one."""
        number = batch_idx * self.trainer.world_size + self.global_rank
        torch.manual_seed((self.seed + 1) * 1_000_003 + self.current_epoch * 100_003 + number)
        return None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        if len(batch) == 0:  # every file of the batch was unreadable
            if self.trainer.world_size == 1:
                return None
            # The other processes wait for gradients.
            return torch.stack([parameter.sum() for parameter in self.model.parameters()]).sum() * 0.0
        if len(self._whole_text_objectives()) < len(self.objectives):
            output, memory = self.model(batch, self._sampling_now())
        else:  # nothing reads a teacher-forced pass
            output, memory = None, self.model.encode(batch)
        loss, parts = self._losses(batch, memory, output)
        size = len(batch)
        self.log_dict({f"train/{name}": part for name, part in parts.items()}, batch_size=size)
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=size)
        return loss

    def _losses(self, batch: Batch, memory: Memory, output: DecoderOutput | None) -> tuple[Tensor, dict[str, Tensor]]:
        parts = {name: objective(self.model, batch, memory, output) for name, objective in self.objectives.items()}
        total = sum(self._weight_now(self.objectives[name]) * part for name, part in parts.items())
        return torch.as_tensor(total), parts

    def _weight_now(self, objective: nn.Module) -> Any:
        """Its weight; 0 after its ``epochs``, if it has such. All parameters keep a gradient, as DDP wants it."""
        epochs = getattr(objective, "epochs", None)
        return objective.weight if epochs is None or self.current_epoch < epochs else 0.0

    def _sampling_now(self) -> float:
        if not self.sampling_probability:
            return 0.0
        first, last = self.sampling_ramp
        progress = self.global_step / max(1, self.trainer.estimated_stepping_batches)
        return self.sampling_probability * min(1.0, max(0.0, (progress - first) / max(1e-9, last - first)))

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips the norm of all gradients; Lightning refuses fused optimisers in bf16, where nothing is scaled."""
        if gradient_clip_val and self.trainer.precision != "16-mixed" and gradient_clip_algorithm in (None, "norm"):
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.model)
        if self.make_scheduler is None:
            return optimizer
        schedule = self.make_scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # ------------------------------------------------------------------------------------------- validation

    def on_validation_epoch_start(self) -> None:
        self._written, self._val_losses = [], []
        self.attention_scores = AttentionScores()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any] | None:
        """Scores a batch; gives callbacks its memory and the best hypotheses, so that none decodes again."""
        if len(batch) == 0:
            return None
        output, memory = self.model(batch)
        loss, parts = self._losses(batch, memory, output)
        self._val_losses.append((len(batch), {name: float(value) for name, value in {**parts, "loss": loss}.items()}))
        best = [hypotheses[0] for hypotheses in self.decode(memory)]
        for index, hypothesis in enumerate(best):
            references = [target.text for target in batch.targets[index]]
            self._written.append((batch_idx, index, self.tokenizer.decode(hypothesis.tokens), references))
        self.score_attention(batch, memory, output, best)
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

    def decode(self, memory: Memory, search: Search | None = None) -> list[list[Hypothesis]]:
        """Hypotheses of every source, best first."""
        search = search or self.search
        if isinstance(search, BeamSearch) and search.ctc_weight:
            return search(self.model.decoder, memory, self.model.ctc_logits(memory))
        return search(self.model.decoder, memory)

    def score_attention(
        self,
        batch: Batch,
        memory: Memory,
        output: DecoderOutput,
        best: Sequence[Hypothesis],
        ctc_times: Sequence[list[Span] | None] | None = None,
    ) -> None:
        """Adds a batch to ``attention_scores``."""
        self.attention_scores.update(batch, memory, output, best, self.tokenizer, self.source_tokenizer, ctc_times)

    # ------------------------------------------------------------------------------------------- checkpoint

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Plain containers only: the file loads with weights_only=True and rebuilds the run by itself.
        checkpoint["hyper_parameters"] = {"config": self.config, "tokenizer": self.tokenizer.state()}
        if self.source_tokenizer is not None:
            checkpoint["hyper_parameters"]["source_tokenizer"] = self.source_tokenizer.state()
