"""One token per word, and an id for each word of a source that the vocabulary lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Self

from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Vocabulary
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.ranges import Count


class CopyingWordTokenizer(WordTokenizer):
    """Words that were frequent enough in training, and what stands in the source: the extended vocabulary of See et al.
    (2017, section 2.2).

    Ids below V, the size of the vocabulary, mean the same for all sources. The words of one source that the vocabulary
    lacks have the ids V, V + 1, ... in the order in which they first stand there; ``of_source`` gives the tokenizer
    that knows them. Without a source it is a ``WordTokenizer``.

    Args:
        min_count, max_size: of the vocabulary, as in ``WordTokenizer``.
    """

    copies = True

    def __init__(self, min_count: Count = 1, max_size: Count | None = None) -> None:
        super().__init__(min_count, max_size)
        self._extra: dict[str, int] = {}  # word of the source -> id

    def __len__(self) -> int:
        """Size of the vocabulary, special ids included, and without the words of a source."""
        return len(SPECIAL_PIECES) + len(self._ids)

    def of_source(self, source: str) -> Self:
        """The tokenizer that knows the words of a source, too; they do not change its length."""
        lacking = (word for word in source.split() if word not in self._ids and word not in SPECIAL_PIECES)
        words, size, own = tuple(dict.fromkeys(lacking)), len(self), self.vocabulary
        extended = copy(self)
        extended._extra = {word: number for number, word in enumerate(words, start=size)}
        parts = own.parts[:size] + tuple(f" {word}" for word in words)
        extended._vocabulary = Vocabulary("word", parts, own.pieces[:size] + words)
        return extended

    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>."""
        return [self._ids.get(word) or self._extra.get(word, self.unk_id) for word in text.split()]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; <unk> for one that no word of the source has."""
        return super().decode(self._known(ids))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What to display for each id; <unk> for one that no word of the source has."""
        return super().pieces(self._known(ids))

    def word_spans(self, ids: Iterable[int]) -> list[tuple[int, int]]:
        """First token and one past the last token of each word of ``decode(ids).split()``."""
        return super().word_spans(self._known(ids))

    def _known(self, ids: Iterable[int]) -> Iterator[int]:
        size = len(self.vocabulary.pieces)
        return (i if i < size else self.unk_id for i in ids)
