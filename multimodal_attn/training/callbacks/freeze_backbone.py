"""Two stages of training in one run: a frozen backbone first, then a fine-tuned one."""

from __future__ import annotations

from typing import cast

import pytorch_lightning as pl

from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.ranges import Count
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch


class FreezeBackbone(pl.Callback):
    """Holds the body of an encoder, its backbone, for the first epochs; afterwards ``encoder.trainable_from`` trains.

    What comes after the backbone learns first from features that are good already; its large gradients of the first
    epochs would spoil them. The backbone has its own learning rate from its first step on: see
    ``optimizer.backbone_lr_scale``. On several devices this needs ``trainer.strategy=ddp_find_unused_parameters_true``.

    Args:
        epochs: how many the backbone is held for.

    Raises:
        ValueError: when training starts, if there is no backbone, or it would stay frozen.
    """

    def __init__(self, epochs: Count) -> None:
        self.epochs = epochs

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        bodies = self._bodies(pl_module)
        if not bodies:
            raise ValueError("callbacks.freeze_backbone: this encoder has no backbone; expected another encoder=")
        if all(encoder.frozen for encoder in bodies):
            raise ValueError(
                "encoder.trainable_from: null; callbacks.freeze_backbone expected the part from which the backbone"
                " trains afterwards"
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        # Of every batch, from the epoch alone: a run that is resumed within an epoch has no start of it.
        held = trainer.current_epoch < self.epochs
        for encoder in self._bodies(pl_module):
            if encoder.held != held:
                encoder.hold(held)

    def _bodies(self, pl_module: pl.LightningModule) -> list[Encoder]:
        """The encoder, or the encoders that it is made of, as far as they have a body."""
        return [part for part in cast(Seq2SeqModule, pl_module).model.encoder.parts() if part.body is not None]
