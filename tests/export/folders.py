"""Small models that have learned nothing, as runs and as exported folders."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

from multimodal_attn.commands.export import export
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.prediction.confidence import write_temperature
from multimodal_attn.runs.build import build_module
from multimodal_attn.runs.configuration import compose, plain
from tests.once import made_once

WORDS = "a red dog runs over the green hill and sees two small birds"
PICTURES = ("data.image_size=32", "encoder.channels=[4,4]", "encoder.strides=[4,2]", "encoder.dim=8")
SPEECH = (
    *("data=digits", "data.root=nowhere", "encoder=pyramid_lstm", "encoder.hidden_dim=8", "attention=location"),
    *("tokenizer=character", "decoder=listen_attend_spell", "search.max_length_ratio=1.5"),
)
SMALL = ("decoder.hidden_dim=16", "decoder.embedding_dim=8", "attention.attention_dim=8", "run_dir=x", "cache_dir=x")


def untrained_run(path: Path, *overrides: str) -> Path:
    """The checkpoint of a run with large random weights, or every distribution would be nearly uniform."""
    config = plain(compose("train", [*SMALL, *overrides, "search.max_length=12"]))
    words = CharacterTokenizer() if "tokenizer=character" in overrides else WordTokenizer()
    tokenizer: Tokenizer = words.fit([WORDS])
    torch.manual_seed(0)
    module = build_module(config, tokenizer)
    with torch.no_grad():
        for parameter in module.model.decoder.parameters():
            parameter.mul_(3)
    content: dict[str, object] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def exported_once(factory: pytest.TempPathFactory, kind: Literal["pictures", "speech"]) -> Path:
    """A folder with such a run, ``run.ckpt``, and what it was exported to, ``exported``, for the whole session."""

    def make(folder: Path) -> None:
        run = untrained_run(folder / "run.ckpt", *(PICTURES if kind == "pictures" else SPEECH))
        write_temperature(folder, 1.5, 100)
        export(run, folder / "exported", license_name="CC0-1.0")

    return made_once(factory, kind, make)
