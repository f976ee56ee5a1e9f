"""Two stages of training in one run: a frozen backbone first, then a fine-tuned one."""

from __future__ import annotations

import pytorch_lightning as pl

from multimodal_attn.models.encoders.picture import PictureEncoder
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch


class FreezeBackbone(pl.Callback):
    """Holds the backbone of a picture encoder for the first epochs; afterwards ``encoder.trainable_from`` trains.

    What comes after the backbone learns first from features that are good already; its large gradients of the first
    epochs would spoil them. The backbone has its own learning rate from its first step on: see
    ``optimizer.backbone_lr_scale``. On several devices this needs ``trainer.strategy=ddp_find_unused_parameters_true``.

    Args:
        epochs: how many the backbone is held for.

    Raises:
        ValueError: if ``epochs`` is below 1; when training starts, if there is no backbone, or it would stay frozen.
    """

    def __init__(self, epochs: int) -> None:
        if epochs < 1:
            raise ValueError(f"callbacks.freeze_backbone.epochs: {epochs}; expected at least 1")
        self.epochs = epochs

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        encoder = self._encoder(pl_module)
        if encoder is None:
            raise ValueError("callbacks.freeze_backbone: expected an encoder of pictures, which has a backbone")
        if encoder.frozen:
            raise ValueError(
                "encoder.trainable_from: null; callbacks.freeze_backbone expected the part from which the backbone"
                " trains afterwards"
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        # Of every batch, from the epoch alone: a run that is resumed within an epoch has no start of it.
        encoder = self._encoder(pl_module)
        held = trainer.current_epoch < self.epochs
        if encoder is not None and encoder.held != held:
            encoder.hold(held)

    def _encoder(self, pl_module: pl.LightningModule) -> PictureEncoder | None:
        encoder = pl_module.model.encoder if isinstance(pl_module, Seq2SeqModule) else None
        return encoder if isinstance(encoder, PictureEncoder) else None
