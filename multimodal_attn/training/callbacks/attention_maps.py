"""Draws what a fixed handful of validation examples attend to, while training goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from multimodal_attn import tracking
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.evaluation.attention.self_attention import self_attention
from multimodal_attn.inspection.page.page import page_title, write_page
from multimodal_attn.inspection.table import example_table
from multimodal_attn.inspection.views import heat_limit, view_of
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.ranges import Count, WholeNumber
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch, Example


class AttentionMaps(pl.Callback):
    """Logs a picture per example with each validation, and one page and a table of the examples when training ends.

    The pictures show what validation itself has decoded; the page, every hypothesis of the search, and the figures of
    the last validation if the model has not trained on since.

    Args:
        run_dir: of the run; the page is written there as ``attention.html``.
        num_examples: how many, spread evenly over the validation set; 0 for none.
        every_n_epochs: how often.
    """

    def __init__(self, run_dir: str, num_examples: WholeNumber = 4, every_n_epochs: Count = 1) -> None:
        self.run_dir, self.num_examples, self.every_n_epochs = Path(run_dir), num_examples, every_n_epochs
        self._examples: list[Example] | None = None
        self._records: dict[str, Prediction] = {}  # of this validation, by key
        self._validated_step: int | None = None

    def examples(self, data: DataModule) -> list[Example]:
        """The same examples every time; unreadable ones are left out (the loader lists them)."""
        if self._examples is None:
            self._examples = data.source("val").spread(self.num_examples)
        return self._examples

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._records = {}

    @rank_zero_only
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not outputs or not self._draws_now(trainer):
            return
        assert isinstance(pl_module, Seq2SeqModule)
        for example in self.examples(trainer.datamodule):  # type: ignore[attr-defined]
            if example.key in batch.keys:
                index = batch.keys.index(example.key)
                self._records[example.key] = pl_module.predictor.prediction(
                    example, [outputs["hypotheses"][index]], outputs["memory"], index
                )

    @rank_zero_only
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._draws_now(trainer):
            return
        assert isinstance(pl_module, Seq2SeqModule)
        examples = self.examples(trainer.datamodule)  # type: ignore[attr-defined]
        # With trainer=ddp, this process has met its own share of the examples only.
        missed = [example for example in examples if example.key not in self._records]
        if missed:
            self._records |= {record.key: record for record in pl_module.predictor.predict(missed)}
        records = [self._records[example.key] for example in examples]
        limit = heat_limit(records)  # one color scale, so that the pictures can be compared
        for number, record in enumerate(records):
            picture = view_of(record).draw(limit)
            tracking.log_picture(trainer.loggers, f"attention/{number}", picture, trainer.global_step)

    def _draws_now(self, trainer: pl.Trainer) -> bool:
        return not trainer.sanity_checking and trainer.current_epoch % self.every_n_epochs == 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._validated_step = trainer.global_step

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Seq2SeqModule)
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        examples = self.examples(data)
        if not examples:
            return
        figures = None
        if self._validated_step == trainer.global_step:
            found = trainer.callback_metrics.items()
            figures = {name.removeprefix("val/"): float(value) for name, value in found if name.startswith("val/")}
        records = pl_module.predictor.predict(examples)
        for example, record in zip(examples, records, strict=True):
            record.self_attention = self_attention(pl_module.predictor, example, record)
        title = page_title(pl_module.predictor.name, "val")
        path = write_page(records, self.run_dir / "attention.html", title, figures, total=len(data.source("val")))
        tracking.log_page(trainer.loggers, "attention", path, trainer.global_step)
        columns, rows = example_table(records, heat_limit(records))
        tracking.log_table(trainer.loggers, "examples", columns, rows, trainer.global_step)
