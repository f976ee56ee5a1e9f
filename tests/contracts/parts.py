"""Builds the parts that the yamls of ``conf/`` describe, small enough for tests."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import hydra
import torch
from omegaconf import OmegaConf

from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.runs.build import build
from multimodal_attn.types import BOS, PAD, Memory, TokenAxis

CONF = Path(__file__).parents[2] / "conf"
SAMPLE_RATE, IMAGE_SIZE, SOURCE_VOCAB = 16000, 64, 13
# Nothing that a contract speaks of depends on these: they are made small or switched off for speed and exactness.
SMALL = {
    "pretrained": False,
    "hidden_dim": 24,
    "embedding_dim": 12,
    "attention_dim": 16,
    "dim": 20,
    "dropout": 0.0,
}


def choices(group: str) -> list[str]:
    """Names of the yamls of a group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def takes(group: str, name: str, key: str) -> bool:
    """Whether ``conf/<group>/<name>.yaml`` has a key."""
    return key in OmegaConf.load(CONF / group / f"{name}.yaml")


def part(group: str, name: str, **arguments: object) -> object:
    """What ``conf/<group>/<name>.yaml`` describes."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra.compose(overrides=[f"+{group}={name}"])
    data = {"sample_rate": SAMPLE_RATE, "image_size": IMAGE_SIZE}
    node = OmegaConf.create({"data": data, group: composed[group]})[group]
    for key, value in SMALL.items():
        if key in node:
            node[key] = value
    return build(node, **arguments)


def encoder_of(name: str, **settings: object) -> Encoder:
    """The encoder of a yaml; one of texts for a vocabulary of ``SOURCE_VOCAB``."""
    made = part("encoder", name, **settings)
    if isinstance(made, partial):
        made = made(vocab_size=SOURCE_VOCAB)
    assert isinstance(made, Encoder)
    return made


def sources(encoder: Encoder, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random sources of unlike lengths that fit an encoder."""
    if encoder.reads == "picture":
        return torch.randint(0, 256, (batch, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8), torch.ones(batch).long()
    if encoder.reads == "text":
        lengths = torch.tensor([5 + 2 * i for i in range(batch)])
        tokens = torch.randint(4, SOURCE_VOCAB, (batch, int(lengths.max())))
        return tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], PAD), lengths
    lengths = torch.tensor([SAMPLE_RATE // 2 + 1337 * i for i in range(batch)])
    waveforms = torch.randn(batch, int(lengths.max())) * 0.1
    return waveforms * (torch.arange(waveforms.shape[1]) < lengths[:, None]), lengths


def memory(batch: int = 4, positions: int = 9, dim: int = 20) -> Memory:
    """A random memory whose last sources are shorter."""
    mask = torch.arange(positions) < torch.tensor([positions - i for i in range(batch)])[:, None]
    return Memory(torch.randn(batch, positions, dim), mask, TokenAxis())


def texts(batch: int = 4, rows: int = 3, longest: int = 8, vocab_size: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens of unlike lengths, and their mask; one row has no text at all."""
    lengths = torch.randint(2, longest + 1, (batch, rows))
    lengths[0, 0] = longest
    lengths[-1, -1] = 0
    mask = torch.arange(longest) < lengths[..., None]
    tokens = torch.randint(4, vocab_size, (batch, rows, longest))
    tokens[..., 0] = BOS
    return tokens.masked_fill(~mask, PAD), mask


def pad_memory(source: Memory, positions: int) -> Memory:
    """The same memory with rubbish appended as padding, as a longer batch mate would cause it."""
    batch, _, dim = source.states.shape
    states = torch.cat([source.states, torch.full((batch, positions, dim), 7.0)], dim=1)
    mask = torch.cat([source.mask, torch.zeros(batch, positions, dtype=torch.bool)], dim=1)
    return Memory(states, mask, source.layout)
