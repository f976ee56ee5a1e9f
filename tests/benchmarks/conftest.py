"""Runs of digits that have learned nothing, and a small corpus of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from multimodal_attn.data.datasets.digits import WORDS
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.runs.build import build_module
from multimodal_attn.runs.configuration import compose, plain


def untrained(folder: Path, *overrides: str) -> Path:
    """A run's folder with a checkpoint of random weights."""
    arguments = ["encoder.hidden_dim=16", "decoder.hidden_dim=16", f"run_dir={folder}", "cache_dir=x", *overrides]
    torch.manual_seed(0)
    module = build_module(plain(compose("train", arguments)), CharacterTokenizer().fit(WORDS))
    checkpoint: dict[str, object] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for digit in range(10):
        tone = 0.1 * np.sin(np.arange(1600) * (digit + 1) / 20)
        soundfile.write(folder / f"{digit}_anna_5.wav", tone, 8000)
    return folder.parent
