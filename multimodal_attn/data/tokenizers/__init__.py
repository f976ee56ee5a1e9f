"""Texts to token ids and back. One tokenizer a file; its state lives in the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, Self

SPECIAL_PIECES = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The pieces of ids 0 to 3 in every tokenizer."""


class Tokenizer(Protocol):
    """What every tokenizer offers.

    ``decode`` drops <pad>, <bos> and <eos>, so that it takes a hypothesis and a padded row alike, but shows what was
    unknown: a word that is left out would make a text score better.
    """

    pad_id: int
    bos_id: int
    eos_id: int
    unk_id: int

    def fit(self, texts: Iterable[str]) -> Self:
        """Builds the vocabulary from normalised training texts, in place of an earlier one."""

    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids."""

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What to display for each id."""

    def word_spans(self, ids: Iterable[int]) -> list[tuple[int, int]]:
        """First token and one past the last token of each word of ``decode(ids).split()``."""

    def state(self) -> dict[str, Any]:
        """Plain containers that ``from_state`` rebuilds the tokenizer from."""

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The tokenizer whose ``state()`` this was."""

    def __len__(self) -> int:
        """Size of the vocabulary, special ids included."""
