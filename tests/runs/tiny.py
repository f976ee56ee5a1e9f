"""Tiny runs: what train.py does, in this process and with few examples, and what a run has left behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
import torch

from multimodal_attn.runs import configuration
from multimodal_attn.runs.configuration import CONF, in_full, plain
from multimodal_attn.runs.resumption import resumed_settings
from multimodal_attn.runs.train import train

SMALL = [
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "callbacks.attention_maps.num_examples=2",
    "encoder.dropout=0",
    "decoder.dropout=0",
    "decoder.hidden_dim=48",
    "decoder.embedding_dim=24",
    "attention.attention_dim=24",
    "scheduler.warmup_steps=5",
    "data.num_workers=0",
]
SHAPES = [
    "data.num_examples={train:64,val:8,test:8}",
    "data.image_size=48",
    "data.batch_size=8",
    "encoder.channels=[8,16,16]",
    "encoder.strides=[2,2,2]",
    "encoder.dim=24",
    *SMALL,
]


def compose(name: str, *overrides: str) -> dict[str, Any]:
    return plain(configuration.compose(name, overrides))


def run(folder: Path, *overrides: str, resume: Path | None = None) -> dict[str, Any]:
    """What train.py does, with ``folder`` as hydra.run.dir."""
    arguments = [*overrides, f"run_dir={folder}", f"cache_dir={folder.parent / 'cache'}"]
    if resume is not None:
        arguments.append(f"resume={resume}")
    config = compose("train", *arguments)
    if resume is not None:
        config = resumed_settings(config, arguments)
    else:
        config["choices"] = choices(arguments)
    train(config, folder)
    return config


def choices(overrides: Sequence[str]) -> dict[str, Any]:
    """The yaml that is chosen of each group, as the command writes it down."""
    with hydra.initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        composed = hydra.compose("train", in_full(overrides), return_hydra_config=True)
    return configuration.choices(composed.hydra)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def values(folder: Path, name: str) -> list[float]:
    return [line[name] for line in lines(folder) if name in line]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
