"""Words that every text holds."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self

from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.masking import select_rows
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.automaton import Automaton
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.words import tokenizers_of, whole_words
from multimodal_attn.types import Memory


class ForcedWords(Rule):
    """Follows, token by token, what must occur in a text (grid beam search, Hokamp & Liu 2017, section 3).

    A text that has begun a forced word is less probable than one that has not, and a single beam would drop it. Hence
    rows compete only with those that have written as many of the forced tokens: each number has a bank of rows of its
    own, and in every step each row also tries what takes it one token further. A text that is cut off before it has
    them all is returned only if there is no other.

    Args:
        forced_words: words, or several words separated by spaces, of the vocabulary or of every source.
        forbidden: those of ``Forbidden``, if there are any.

    Raises:
        ValueError: if a word stands in both.
    """

    needs_beam = True
    _ways: list[list[list[tuple[int, ...]]]]  # of each source of one batch, or once for all

    def __init__(self, forced_words: Sequence[str | int] = (), forbidden: Sequence[str | int] = ()) -> None:
        self.words, self.active = [str(word) for word in forced_words], bool(forced_words)
        if twice := sorted(set(self.words) & {str(word) for word in forbidden}):
            raise ValueError(f"search.forced_words: {', '.join(twice)} stands in search.forbidden as well")
        self._automaton: Automaton | None = None

    def __str__(self) -> str:
        return f"forced_words: {self.words}"

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        words = whole_words(self.words, tokenizer, "search.forced_words", of_source=False)
        self._num_tokens = sum(len(ways[0]) for ways in words)

    @property
    def num_lacking(self) -> int:
        return self._num_tokens

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        started, tokenizers = copy(self), tokenizers_of(memory, self._tokenizer)
        started._ways = [whole_words(self.words, own, "search.forced_words") for own in tokenizers]
        return started

    def apply(self, scores: Tensor, step: Step) -> None:
        if self._automaton is None:  # the first step tells the size of the vocabulary
            self._automaton = Automaton(self._ways, scores.shape[-1], scores.device)
            self._progress = self._automaton.start(step.token.shape)

    def wanted(self) -> Tensor:
        assert self._automaton is not None
        return self._automaton.wanted(self._progress)

    def lacking(self, tokens: Tensor) -> Tensor:
        assert self._automaton is not None
        return self._automaton.lacking(self._automaton.advance(self._progress[:, :, None], tokens))

    def advance(self, origins: Tensor, tokens: Tensor) -> None:
        assert self._automaton is not None
        self._progress = self._automaton.advance(select_rows(self._progress, origins), tokens)
