"""Draws what a fixed handful of validation examples attend to, while training goes on."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from multimodal_attn import tracking
from multimodal_attn.data.datamodule import DataModule
from multimodal_attn.inspection.colors import heat_limit
from multimodal_attn.inspection.decode import decode_examples
from multimodal_attn.inspection.figure import draw
from multimodal_attn.inspection.page import write_page
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Example, UnreadableError


class AttentionMaps(pl.Callback):
    """Logs a picture per example after each validation, and one page when training ends.

    Args:
        run_dir: of the run; the page is written there as ``attention.html``.
        num_examples: how many, spread evenly over the validation set; 0 for none.
        every_n_epochs: how often.
    """

    def __init__(self, run_dir: str, num_examples: int = 4, every_n_epochs: int = 1) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"callbacks.attention_maps.every_n_epochs: {every_n_epochs}; expected at least 1")
        self.run_dir, self.num_examples, self.every_n_epochs = Path(run_dir), num_examples, every_n_epochs
        self._examples: list[Example] | None = None

    def examples(self, data: DataModule) -> list[Example]:
        """The same examples every time; unreadable ones are left out (the loader lists them)."""
        if self._examples is None:
            source = data.source("val")
            self._examples = []
            total = min(self.num_examples, len(source))
            for number in range(total):
                try:
                    self._examples.append(source[number * len(source) // total])
                except UnreadableError:
                    continue
        return self._examples

    @rank_zero_only
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or trainer.current_epoch % self.every_n_epochs:
            return
        assert isinstance(pl_module, Seq2SeqModule)
        examples = self.examples(trainer.datamodule)  # type: ignore[attr-defined]
        if not examples:
            return
        records = decode_examples(pl_module, examples)
        limit = heat_limit(records)  # one colour scale, so that the pictures can be compared
        for number, record in enumerate(records):
            tracking.log_figure(trainer.loggers, f"attention/{number}", draw(record, limit), trainer.global_step)

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Seq2SeqModule)
        examples = self.examples(trainer.datamodule)  # type: ignore[attr-defined]
        if not examples:
            return
        path = write_page(
            decode_examples(pl_module, examples), self.run_dir / "attention.html", self.run_dir.name, None
        )
        tracking.log_page(trainer.loggers, "attention", path, trainer.global_step)
