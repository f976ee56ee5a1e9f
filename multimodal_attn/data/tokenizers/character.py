"""One token per character."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Tokenizer, Vocabulary, texts_of

UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"  # one character long, so that a character error rate counts one
VISIBLE_SPACE = "\N{OPEN BOX}"


class CharacterTokenizer(Tokenizer):
    """The characters of the training texts, the space among them."""

    def __init__(self) -> None:
        self._set_characters("")

    def _set_characters(self, characters: Iterable[str]) -> None:
        parts = ("", "", "", UNKNOWN_CHARACTER, *characters)
        known = parts[len(SPECIAL_PIECES) :]
        pieces = (*SPECIAL_PIECES, *(character.replace(" ", VISIBLE_SPACE) for character in known))
        self._vocabulary = Vocabulary("character", parts, pieces)
        self._ids = {character: i for i, character in enumerate(parts) if i > self.unk_id}

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    def fit(self, texts: Iterable[str], symbols: Sequence[str] = ()) -> Self:
        """Builds the vocabulary, in the order of code points.

        Raises:
            ValueError: if the texts hold no character.
        """
        characters = set().union(*texts) - {UNKNOWN_CHARACTER}
        if not characters:
            raise ValueError("tokenizer: the training texts hold no character to build a vocabulary from")
        self._set_characters(sorted(characters.union(symbols)))
        return self

    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>."""
        return [self._ids.get(character, self.unk_id) for character in text]

    def state(self) -> dict[str, Any]:
        """Plain containers that ``from_state`` rebuilds the tokenizer from."""
        return {"characters": [*self._vocabulary.parts[len(SPECIAL_PIECES) :]]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The tokenizer whose ``state()`` this was."""
        tokenizer, characters = cls(), texts_of(state, "characters")
        if any(len(character) != 1 for character in characters):
            raise ValueError("tokenizer: its state has more than one character in a place; expected single ones")
        tokenizer._set_characters(characters)
        return tokenizer
