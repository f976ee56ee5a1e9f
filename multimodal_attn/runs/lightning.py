"""Lightning's own classes: what their annotations leave open, and what they say that no user can act on."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeVar

import pytorch_lightning as pl
from annotated_types import MinLen
from pydantic import AfterValidator
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from multimodal_attn.parts import EVERYTHING, Part, part
from multimodal_attn.ranges import Count, Devices, NotNegative, PositiveShare, Share, WholeNumber

Kind = TypeVar("Kind")


def _validated(name: str) -> str:
    """The name of what a validation logs."""
    if not re.fullmatch(r"val/\w+", name):
        raise ValueError("a figure of the validation, such as val/loss")
    return name


_Limit = Literal[-1] | Count  # -1: none
Metric = Annotated[str, AfterValidator(_validated)]

_RANGES: dict[type, dict[str, Any]] = {
    pl.Trainer: {
        "max_epochs": _Limit | None,
        "max_steps": _Limit,
        "accelerator": Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"],
        "devices": Literal["auto"] | Devices | Annotated[list[WholeNumber], MinLen(1)],
        "num_nodes": Devices,
        "strategy": str,
        "precision": Literal[
            "auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", 32, 64, 16
        ],
        "accumulate_grad_batches": Count,
        "gradient_clip_val": NotNegative | None,
        "log_every_n_steps": Count | None,
        "check_val_every_n_epoch": Count | None,
        "num_sanity_val_steps": Literal[-1] | WholeNumber | None,
        "enable_model_summary": bool | None,
        "limit_train_batches": Count | PositiveShare | None,
        "limit_val_batches": WholeNumber | Share | None,
    },
    EarlyStopping: {"monitor": Metric, "mode": Literal["min", "max"], "patience": WholeNumber, "strict": bool},
    ModelCheckpoint: {
        "dirpath": str,
        "filename": str,
        "monitor": Metric | None,
        "mode": Literal["min", "max"],
        "auto_insert_metric_name": bool,
        "enable_version_counter": bool,
    },
    TQDMProgressBar: {"refresh_rate": WholeNumber},
    TensorBoardLogger: {"save_dir": str, "name": str},
    WandbLogger: {"save_dir": str, "project": str, "name": str},
}


def lightning_part(key: str, node: Any, kind: type[Kind], given: Collection[str] = ()) -> Part[Kind]:
    """As ``parts.part``; what Lightning's own constructors leave open is checked too.

    Raises:
        ValueError: names the key and what was expected.
    """
    return part(key, node, kind, EVERYTHING, given, _RANGES)


_NOISE = {
    "litlogger": "advertises a service",
    "LeafSpec": "is of Lightning's own use of torch",
    "sync_dist=True": "what validation logs is that of all processes already",
    "in eval mode at the start": "frozen parts are in evaluation mode on purpose",
    "`weights_only` was not set": "files are read with weights_only=True, always",
    "exists and is not empty": "a resumed run writes where it has written before",
    "dataloader is not resumable": "the data module goes on in mid-epoch itself",
    "does not have many workers": "data.num_workers is the user's to choose, and its yaml says what it costs",
    "Automatic Mixed Precision": "is what trainer.precision says",
    "GPU available": "what was not used is nothing to act on, and trainer.accelerator=auto uses what there is",
    "TPU available": "the same",
    "smaller than the logging interval": "an epoch of few batches is logged at the end of some later one",
    "Initializing distributed": "is said by each process of what the first sums up",
    "estimate number of stepping batches": "is of Lightning's own way to count",
}
"""Parts of messages that are dropped, and why."""

_SPEAKERS = (
    "pytorch_lightning.utilities.rank_zero",
    "pytorch_lightning.trainer.connectors.checkpoint_connector",
    "lightning_fabric.utilities.rank_zero",
    "lightning_fabric.utilities.distributed",
)
"""Loggers by which Lightning says them."""


def quieten() -> None:
    """Drops what no user can act on from warnings and from Lightning's log; everything else stays."""
    for text in _NOISE:
        warnings.filterwarnings("ignore", message=f"(?s).*{text}")
    for name in _SPEAKERS:
        if not any(isinstance(found, _Noise) for found in logging.getLogger(name).filters):
            logging.getLogger(name).addFilter(_Noise())


class _Noise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not any(text in record.getMessage() for text in _NOISE)
