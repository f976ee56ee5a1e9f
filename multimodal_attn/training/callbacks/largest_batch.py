"""Tries the largest batch before training, so that a run does not die of it hours later."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from multimodal_attn.data.loading.batching import BucketBatchSampler
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.first_line import first_line
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch, Modality


class TryLargestBatch(pl.Callback):
    """One forward and backward pass over the longest texts, or recordings, as slow as speed perturbation makes them.

    Pictures are all of one size: their first batch tells as much. The pass leaves no trace in the model, nor in the
    random numbers that follow.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not isinstance(pl_module, Seq2SeqModule):  # a language model
            return
        if pl_module.model.encoder.reads == "picture":
            return
        loader, data = trainer.train_dataloader, trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(loader, DataLoader)
        assert isinstance(data, DataModule)
        sampler = loader.batch_sampler
        assert isinstance(sampler, BucketBatchSampler)
        batch: Batch = loader.collate_fn([loader.dataset[0, index] for index in sampler.largest()])
        if len(batch) == 0:
            return
        batch = batch.to(pl_module.device)
        buffers = {name: buffer.clone() for name, buffer in pl_module.named_buffers()}
        devices = [pl_module.device] if pl_module.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices), pl_module.model.encoder.longest():
                with trainer.precision_plugin.train_step_context():
                    output, memory = pl_module.model(batch)
                    loss, _ = pl_module.losses(batch, memory, output)
                loss.backward()
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            raise ValueError(_advice(batch, data, pl_module.model.encoder.reads, error)) from None
        finally:
            pl_module.zero_grad(set_to_none=True)
            for name, buffer in pl_module.named_buffers():
                buffer.copy_(buffers[name])


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _advice(batch: Batch, data: DataModule, reads: Modality, error: RuntimeError) -> str:
    given = [name for name in ("batch_seconds", "batch_tokens") if getattr(data, name) is not None]
    key = given[0] if given else "batch_size"
    limit = "max_words" if reads == "text" else "max_seconds"
    return (
        f"data.{key}: {getattr(data, key):g}; the largest batch ({len(batch)} {reads}s, the longest with"
        f" {batch.tokens.shape[-1] - 2} tokens) does not fit into memory; lower it, or data.{limit}"
        f" ({first_line(error)})"
    )
