"""Builds the parts that the yamls of ``conf/`` describe, small enough for tests.

Parts of another package are held to the same contracts: ``CONTRACTS_CONF=my/conf python -m pytest tests/contracts``
takes the yamls of my/conf/attention and so on as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import OmegaConf

from multimodal_attn import parts
from multimodal_attn.models.attention.base import Attention
from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.types import BOS, PAD, Memory, TokenAxis
from tests.contracts.tiny import with_files

CONF = Path(__file__).parents[2] / "conf"
OTHERS = [Path(folder).absolute() for folder in os.environ.get("CONTRACTS_CONF", "").split(os.pathsep) if folder]
KINDS: dict[str, Any] = {
    "attention": Attention,
    "decoder": Decoder,
    "encoder": Encoder,
    "language_model": LanguageModel,
}
SAMPLE_RATE, IMAGE_SIZE, SOURCE_VOCAB = 16000, 64, 13
NUM_EXTRA = 3  # words of the sources alone, behind a vocabulary of 11
COPIES = 11 + NUM_EXTRA  # ids of what can be copied are below
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
    return sorted(path.stem for conf in (CONF, *OTHERS) for path in (conf / group).glob("*.yaml"))


def takes(group: str, name: str, key: str) -> bool:
    """Whether what ``conf/<group>/<name>.yaml`` describes has a setting."""
    return bool(part(group, name).takes(key))


def part(group: str, name: str, /, **settings: object) -> Any:
    """What ``conf/<group>/<name>.yaml`` describes, which waits for its widths."""
    return parts.part(group, node(group, name, **settings), KINDS[group], parts.EVERYTHING)


def node(group: str, name: str, /, **settings: object) -> dict[Any, Any]:
    """What stands in ``conf/<group>/<name>.yaml``, as plain containers."""
    return _merged(with_files(_small(deepcopy(_composed(group, name)))), settings)


@cache
def _composed(group: str, name: str) -> dict[Any, Any]:
    """The same as it is in the file; a composition takes longer than most tests that build a part."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        others = ",".join(f"file://{folder}" for folder in OTHERS)
        composed = hydra.compose(overrides=[f"hydra.searchpath=[{others}]", f"+{group}={name}"])
    data = {"sample_rate": SAMPLE_RATE, "image_size": IMAGE_SIZE}
    plain = OmegaConf.to_container(OmegaConf.create({"data": data, group: composed[group]})[group], resolve=True)
    assert isinstance(plain, dict)
    return plain


def _small(node: dict[Any, Any]) -> dict[Any, Any]:
    """The same node, small, also in the nodes in it."""
    inner = {key: _small(value) for key, value in node.items() if isinstance(value, dict)}
    return node | inner | {key: value for key, value in SMALL.items() if key in node}


def _merged(node: dict[Any, Any], settings: Mapping[str, Any]) -> dict[Any, Any]:
    """A node with other settings, also within the nodes in it."""
    return node | {
        key: _merged(node[key], value) if isinstance(value, Mapping) and isinstance(node.get(key), dict) else value
        for key, value in settings.items()
    }


def decoder_of(name: str, attention: str, vocab_size: int, memory_dim: int = 20, **settings: object) -> Decoder:
    """The decoder of a yaml around the attention of another, which has the settings; unless it brings its own."""
    made = part("decoder", name)
    given = {} if made.make.own_attention else {"attention": part("attention", attention, **settings)}
    decoder: Decoder = made(memory_dim=memory_dim, vocab_size=vocab_size, **given)
    return decoder


def encoder_of(name: str, **settings: object) -> Encoder:
    """The encoder of a yaml; one of texts for a vocabulary of ``SOURCE_VOCAB``."""
    made = part("encoder", name, **settings)
    encoder: Encoder = made(vocab_size=SOURCE_VOCAB) if made.takes("vocab_size") else made()
    return encoder


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
    states = torch.randn(batch, positions, dim)
    copies = torch.randint(4, COPIES, mask.shape).masked_fill(~mask, PAD)
    copies[0, 0] = COPIES - 1
    return Memory(states, mask, TokenAxis(), copies=copies, num_extra=NUM_EXTRA)


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
    copies = None if source.copies is None else torch.nn.functional.pad(source.copies, (0, positions), value=PAD)
    return Memory(states, mask, source.layout, copies=copies, num_extra=source.num_extra)
