"""One token a character."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Tokenizer, texts_of

UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"  # one character long, so that a character error rate counts one
VISIBLE_SPACE = "\N{OPEN BOX}"


class CharacterTokenizer(Tokenizer):
    """The characters of the training texts, the space among them."""

    def __init__(self) -> None:
        self._set_characters("")

    def _set_characters(self, characters: Iterable[str]) -> None:
        self._characters = ["", "", "", UNKNOWN_CHARACTER, *characters]
        self._ids = {character: i for i, character in enumerate(self._characters) if i > self.unk_id}

    def fit(self, texts: Iterable[str]) -> Self:
        """Builds the vocabulary, in the order of code points.

        Raises:
            ValueError: if the texts hold no character.
        """
        characters = set().union(*texts) - {UNKNOWN_CHARACTER}
        if not characters:
            raise ValueError("tokenizer: the training texts hold no character to build a vocabulary from")
        self._set_characters(sorted(characters))
        return self

    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>."""
        return [self._ids.get(character, self.unk_id) for character in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text; <pad>, <bos> and <eos> are dropped, an unknown character is shown as U+FFFD."""
        return "".join(self._characters[i] for i in ids)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What to display for each id; a space shows as an open box."""
        return [SPECIAL_PIECES[i] if i <= self.unk_id else self._characters[i].replace(" ", VISIBLE_SPACE) for i in ids]

    def word_spans(self, ids: Iterable[int]) -> list[tuple[int, int]]:
        """Token range of each word of ``decode(ids).split()``: a longest run without a space."""
        spans: list[tuple[int, int]] = []
        inside = False
        for index, i in enumerate(ids):
            character = self._characters[i]
            if not character:
                continue  # a special id leaves no trace in the text: it neither starts nor ends a word
            if character.isspace():
                inside = False
            elif inside:
                spans[-1] = (spans[-1][0], index + 1)
            else:
                spans.append((index, index + 1))
                inside = True
        return spans

    def state(self) -> dict[str, Any]:
        """Plain containers that ``from_state`` rebuilds the tokenizer from."""
        return {"characters": self._characters[len(SPECIAL_PIECES) :]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The tokenizer whose ``state()`` this was."""
        tokenizer, characters = cls(), texts_of(state, "characters")
        if any(len(character) != 1 for character in characters):
            raise ValueError("tokenizer: its state has more than one character in a place; expected single ones")
        tokenizer._set_characters(characters)
        return tokenizer

    def __len__(self) -> int:
        return len(self._characters)
