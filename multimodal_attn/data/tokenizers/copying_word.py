"""One token a word, and an id for each word of a source that the vocabulary lacks."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Self

from multimodal_attn.data.tokenizers import SPECIAL_PIECES
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

    def of_source(self, source: str) -> Self:
        """The tokenizer that knows the words of a source, too; they do not change its length."""
        lacking = (word for word in source.split() if word not in self._ids and word not in SPECIAL_PIECES)
        extended = copy(self)
        extended._extra = {word: number for number, word in enumerate(dict.fromkeys(lacking), start=len(self))}
        return extended

    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>."""
        return [self._ids.get(word) or self._extra.get(word, self.unk_id) for word in text.split()]

    def decode(self, ids: Iterable[int]) -> str:
        """The words, joined by spaces; <pad>, <bos> and <eos> are dropped, <unk> stays."""
        return " ".join(self.pieces(i for i in ids if i >= self.unk_id))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What to display for each id; <unk> for one that no word of the source has."""
        known, extra = len(self._pieces), list(self._extra)
        unknown = SPECIAL_PIECES[self.unk_id]
        return [self._pieces[i] if i < known else extra[i - known] if i - known < len(extra) else unknown for i in ids]
