"""Tiny runs: what train.py does, in this process and with few examples, and what a run has left behind."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch

from multimodal_attn.runs import configuration
from multimodal_attn.runs.configuration import CONF, in_full, plain
from multimodal_attn.runs.resumption import resumed_settings
from multimodal_attn.runs.train import train
from tests.once import made_once

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
        config["choices"] = dict(_choices(tuple(one for one in overrides if _chooses(one))))
    train(config, folder)
    return config


def trained(factory: pytest.TempPathFactory, *overrides: str) -> Path:
    """The folder of a run of these overrides, trained once for the session: to be read, see ``made_once``."""
    name = hashlib.sha256("\n".join(overrides).encode()).hexdigest()[:16]
    return made_once(factory, f"run_{name}", lambda folder: run(folder / "run", *overrides)) / "run"


def _chooses(override: str) -> bool:
    """Whether it chooses a yaml of a group, and does not set a value in one."""
    group = re.match(r"[+~]*(\w+)(?![\w.])", override)
    return group is not None and (CONF / group[1]).is_dir()


@cache
def _choices(overrides: tuple[str, ...]) -> dict[str, Any]:
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
