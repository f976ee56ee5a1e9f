"""Models whose every number is written down in a table, and searches from the keys of the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import hydra
import torch
from omegaconf import OmegaConf
from torch import Tensor

from multimodal_attn.data.tokenizers.vocabulary import Vocabulary
from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.language_models.base import LanguageModel, LanguageState
from multimodal_attn.search import Search
from multimodal_attn.search.build import build_search
from multimodal_attn.types import Memory, TokenAxis
from tests.contracts.parts import CONF


class Rows(SimpleNamespace):
    """A state that carries nothing but how many steps there were."""

    def select(self, index: Tensor) -> Rows:
        return self


class TableDecoder:
    """What follows a token depends on that token alone, and so does where attention looks when it is read.

    Args:
        table: (V, V) logits of the next token by the last one, or (B, V, V) for each source.
        looks_at: (V,) the memory position attended to when a token is read.
    """

    gate_name = ""

    def __init__(self, table: Tensor, looks_at: list[int] | None = None) -> None:
        self.table = table if table.ndim == 3 else table[None]
        self.looks_at = torch.tensor(looks_at or [0] * table.shape[-1])

    def prepare(self, memory: Memory) -> Memory:
        return memory

    def start(self, source: Memory, rows: int) -> Rows:
        return Rows()

    def step(self, token: Tensor, state: Rows, source: Memory) -> tuple[Tensor, Rows, AttentionStep]:
        table = self.table.expand(len(token), -1, -1)
        logits = table[torch.arange(len(token))[:, None], token].clone()
        weights = torch.nn.functional.one_hot(self.looks_at[token], source.mask.shape[1]).float()[:, :, None]
        return logits, state, AttentionStep(weights @ source.states[:, None], weights, None)


class TableLanguageModel(LanguageModel):
    """The same for a language model."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table[tokens]

    def start(self, batch: int, rows: int) -> LanguageState:
        return LanguageState([])

    def step(self, token: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        return self.table[token].clone(), state


def memory(positions: int = 4, batch: int = 1) -> Memory:
    return Memory(torch.zeros(batch, positions, 2), torch.ones(batch, positions, dtype=torch.bool), TokenAxis())


def table(vocab_size: int, **rows: dict[int, float]) -> Tensor:
    """Logits by hand: ``table(6, t1={4: 0.9, 2: 0.1})`` gives probabilities after token 1; elsewhere <eos> is sure."""
    logits = torch.full((vocab_size, vocab_size), -30.0)
    logits[:, 2] = 0.0
    for name, probabilities in rows.items():
        logits[int(name[1:])] = -30.0
        for token, probability in probabilities.items():
            logits[int(name[1:]), token] = torch.tensor(probability).log()
    return logits


class Numbers:
    """A tokenizer whose words are their ids; with ``space``, the token of a space."""

    copies = False

    def __init__(self, space: int | None = None) -> None:
        self.space = space
        parts = ("", "", "", *(f" {number}" for number in range(3, 100)))
        self.vocabulary = Vocabulary("word", parts, parts)

    def __len__(self) -> int:
        return 100

    def encode(self, text: str) -> list[int]:
        return [self.space] if text == " " and self.space else [int(word) for word in text.split()]


def model_of(decoder: Any, ctc: Callable[[Tensor], Tensor] | None = None) -> Any:
    """As much of a model as searches know of: ``ctc`` makes logits of a memory's states."""
    return SimpleNamespace(decoder=decoder, ctc_head=ctc, ctc_logits=lambda memory: ctc and ctc(memory.states))


@cache
def node_of(name: str) -> dict[str, Any]:
    """``conf/search/<name>.yaml`` with its scorers and rules."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = OmegaConf.to_container(hydra.compose(overrides=[f"+search={name}"]).search)
    assert isinstance(composed, dict)
    return {str(key): value for key, value in composed.items()}


def search_of(
    name: str,
    model: Any = None,
    tokenizer: Any = None,
    language_model: LanguageModel | None = None,
    **settings: Any,
) -> Search:
    """What the command line makes of ``search=<name> search.key=value ...``; words are ids, such as "5" or "6 7"."""
    if language_model is not None:
        settings["language_model"] = "a folder"
    return build_search(
        node_of(name) | settings,
        model or model_of(None),
        tokenizer or Numbers(),
        load_language_model=lambda folder: language_model,  # type: ignore[return-value, arg-type]
    )
