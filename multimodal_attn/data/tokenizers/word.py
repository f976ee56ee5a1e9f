"""One token per word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Tokenizer, Vocabulary, texts_of
from multimodal_attn.ranges import Count


class WordTokenizer(Tokenizer):
    """Words that were frequent enough in training; the others are <unk>.

    Args:
        min_count: a word must occur this often to be in the vocabulary.
        max_size: keep only the most frequent words, this many (special ids not counted); None keeps all.
    """

    whole_words = True

    def __init__(self, min_count: Count = 1, max_size: Count | None = None) -> None:
        self.min_count = min_count
        self.max_size = max_size
        self._set_words([])

    def _set_words(self, words: Iterable[str]) -> None:
        pieces = (*SPECIAL_PIECES, *words)
        parts = ("", "", "", *(f" {piece}" for piece in pieces[self.unk_id :]))  # <unk> is shown
        self._vocabulary = Vocabulary("word", parts, pieces)
        self._ids = {word: index for index, word in enumerate(pieces) if index > self.unk_id}

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    def fit(self, texts: Iterable[str], symbols: Sequence[str] = ()) -> Self:
        """Builds the vocabulary, the most frequent words first.

        Raises:
            ValueError: if no word is frequent enough.
        """
        counts = Counter(word for text in texts for word in text.split())
        for piece in (*SPECIAL_PIECES, *symbols):
            counts.pop(piece, None)
        # Equal counts in alphabetical order: the vocabulary must not depend on the order of the texts.
        words = sorted((word for word in counts if counts[word] >= self.min_count), key=lambda w: (-counts[w], w))
        if not words:
            raise ValueError(
                f"tokenizer.min_count: none of the {len(counts)} different words in the training texts occurs "
                f"{self.min_count} times"
            )
        self._set_words([*symbols, *words[: self.max_size]])
        return self

    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>."""
        return [self._ids.get(word, self.unk_id) for word in text.split()]

    def state(self) -> dict[str, Any]:
        """Plain containers that ``from_state`` rebuilds the tokenizer from."""
        return {
            "words": [*self._vocabulary.pieces[len(SPECIAL_PIECES) :]],
            "min_count": self.min_count,
            "max_size": self.max_size,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The tokenizer whose ``state()`` this was."""
        words = texts_of(state, "words")
        if any(word.split() != [word] for word in words):
            raise ValueError("tokenizer: its state has white space in a word; expected single words")
        tokenizer = cls(state.get("min_count", 1), state.get("max_size"))
        tokenizer._set_words(words)
        return tokenizer
