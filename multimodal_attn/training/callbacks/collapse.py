"""Warns when attention looks at one cell, at silence or at the same place for every word, or when texts repeat."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl

from multimodal_attn.distributed import gather
from multimodal_attn.evaluation.attention.collapse import CollapseSigns, Sign
from multimodal_attn.ranges import Count, PositiveShare
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch

log = logging.getLogger(__name__)

_FEW_STEPS = 1000  # of fewer, little training is the likelier reason; a round number, not a measured one


class CollapseDetector(pl.Callback):
    """Looks at what validation has decoded anyway; logs ``val/collapse_cell``, ``_quiet``, ``_sink`` and ``_repeats``.

    Every model starts collapsed, so that a warning comes only after some validations in a row, and only once until it
    has recovered.

    Args:
        cell: share of all weight on one cell that is too much.
        quiet: share of weight on silent steps, and on the last one before padding, that is too much.
        sink: share of weight that goes to the same cells whatever the word that is too much.
        repeats: share of texts with the same words three times in a row that is too much.
        patience: validations in a row before it warns.
    """

    def __init__(
        self,
        cell: PositiveShare = 0.5,
        quiet: PositiveShare = 0.5,
        sink: PositiveShare = 0.5,
        repeats: PositiveShare = 0.1,
        patience: Count = 2,
    ) -> None:
        self.limits = {"cell": cell, "quiet": quiet, "sink": sink, "repeats": repeats}
        self.patience = patience
        self._in_a_row = dict.fromkeys(self.limits, 0)
        self._signs = CollapseSigns()

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._signs = CollapseSigns()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not outputs:  # every file of the batch was unreadable
            return
        assert isinstance(pl_module, Seq2SeqModule)
        predictor = pl_module.predictor
        self._signs.update(
            batch, outputs["memory"], outputs["hypotheses"], predictor.tokenizer, predictor.reader.sample_rate
        )

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        all_signs = CollapseSigns()
        for share in gather(self._signs):
            all_signs.merge(share)
        signs: dict[str, Sign | None] = {
            "cell": all_signs.cell(),
            "quiet": all_signs.quiet(),
            "sink": all_signs.sink(),
            "repeats": all_signs.repeats(),
        }
        for name, sign in signs.items():
            if sign is None:
                continue
            pl_module.log(f"val/collapse_{name}", sign.share)
            # What attention without a preference does as well is no collapse: a recording may be mostly silent.
            too_much = sign.share > self.limits[name] and sign.share > sign.expected
            # A single cell, or silence, has been told of already.
            too_much &= name != "sink" or not (self._in_a_row["cell"] or self._in_a_row["quiet"])
            self._in_a_row[name] = self._in_a_row[name] + 1 if too_much else 0
            if self._in_a_row[name] == self.patience and trainer.is_global_zero:
                assert isinstance(pl_module, Seq2SeqModule)
                repeated = _against_repetition(trainer.global_step, pl_module.sampling.probability)
                log.warning(_message(name, sign, signs["quiet"] is not None, repeated))


def _against_repetition(steps: int, sampling: float) -> str:
    """What has helped models that repeat themselves; one of few steps does so whatever its settings are."""
    if steps < _FEW_STEPS:
        return f"more than the {steps} steps that it has made so far"
    bound = "search.max_length_ratio bounds what is left"
    return bound if sampling else f"scheduled_sampling.probability=0.1, and {bound}"


def _message(name: str, sign: Sign, recordings: bool, repeated: str) -> str:
    what, help_ = {
        "cell": (
            "of all attention lies on a single cell, over words and examples",
            "objective=[cross_entropy,ctc] with attention=location moves it along"
            if recordings
            else "objective=[cross_entropy,doubly_stochastic] spreads it",
        ),
        "quiet": (
            "of all attention lies on silence or on the last step before padding",
            "objective=[cross_entropy,ctc], a larger objective.ctc.weight, or recordings trimmed of their silence",
        ),
        "sink": (
            "of all attention lies where every word of a text looks, whatever the word",
            "objective=[cross_entropy,ctc] with attention=location moves it along"
            if recordings
            else "objective=[cross_entropy,coverage] makes it costly to look at the same place again",
        ),
        "repeats": (
            "of the validation texts say the same words three times in a row, or more often",
            repeated,
        ),
    }[name]
    return f"{sign.share:.0%} {what}. Most in {sign.key}: {sign.detail}. What may help: {help_}."
