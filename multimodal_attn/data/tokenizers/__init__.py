"""Texts to token ids and back. One tokenizer per file; its state lives in the checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from multimodal_attn.data.tokenizers.vocabulary import SPECIAL_PIECES, Vocabulary
from multimodal_attn.types import BOS, EOS, PAD, UNK

__all__ = ["SPECIAL_PIECES", "Tokenizer", "Vocabulary", "texts_of"]


class Tokenizer(ABC):
    """What every tokenizer offers.

    ``decode`` drops <pad>, <bos> and <eos>, so that it takes a hypothesis and a padded row alike, but shows what was
    unknown: a word that is left out would make a text score better.
    """

    pad_id, bos_id, eos_id, unk_id = PAD, BOS, EOS, UNK
    copies: ClassVar[bool] = False
    """Whether words of a source that the vocabulary lacks have ids, too: see ``of_source``."""
    whole_words: ClassVar[bool] = False
    """Whether every word is one token."""

    @abstractmethod
    def fit(self, texts: Iterable[str], symbols: Sequence[str] = ()) -> Self:
        """Builds the vocabulary from normalized training texts, in place of an earlier one.

        Args:
            texts: normalized.
            symbols: words of which each is a token, however rare it is; characters, where a token is one.
        """

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """What its ids stand for."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids."""
        return self.vocabulary.text(ids)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What to display for each id."""
        return [self.vocabulary.pieces[i] for i in ids]

    def word_spans(self, ids: Iterable[int]) -> list[tuple[int, int]]:
        """First token and one past the last token of each word of ``decode(ids).split()``."""
        return self.vocabulary.word_spans(ids)

    def of_source(self, source: str) -> Tokenizer:
        """The tokenizer of texts that are written about a source text: one that ``copies`` knows its words, too.

        Their ids begin at ``len(self)``, which does not count them.
        """
        return self

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Plain containers that ``from_state`` rebuilds the tokenizer from."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The tokenizer whose ``state()`` this was; a ValueError if it cannot have been one."""

    def __len__(self) -> int:
        """Size of the vocabulary, special ids included."""
        return len(self.vocabulary.pieces)


def texts_of(state: Mapping[str, Any], key: str) -> list[str]:
    """A list of different texts in a tokenizer's state.

    Raises:
        ValueError: if there is none.
    """
    found = state.get(key)
    if not isinstance(found, list) or not all(isinstance(text, str) and text for text in found):
        raise ValueError(
            f"tokenizer: its state has no list of texts '{key}'; expected one that this package has written"
        )
    if len(set(found)) < len(found):
        raise ValueError(f"tokenizer: its state has a text twice in '{key}'; expected different ones")
    return found
