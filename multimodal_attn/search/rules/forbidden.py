"""Words that no text holds."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self

import torch
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.words import tokenizers_of, whole_words
from multimodal_attn.types import UNK, Memory


class Forbidden(Rule):
    """Takes out of the choice what would complete a forbidden word.

    Args:
        forbidden: words, or several words separated by spaces. Where words are copied, any: what neither the vocabulary
            nor the source has cannot be written.
    """

    _of_sources: list[list[tuple[int, ...]]]  # of one batch, or once for all

    def __init__(self, forbidden: Sequence[str | int] = ()) -> None:
        self.words, self.active = [str(word) for word in forbidden], bool(forbidden)

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        words = whole_words(self.words, tokenizer, "search.forbidden", of_source=False)
        # A search need not carry its texts for single tokens.
        self.needs_history = any(len(sequence) > 1 for ways in words for sequence in ways)

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        started = copy(self)
        started._of_sources = []
        for tokenizer in tokenizers_of(memory, self._tokenizer):
            words = whole_words(self.words, tokenizer, "search.forbidden", of_source=False)
            started._of_sources.append([sequence for ways in words for sequence in ways if UNK not in sequence])
        return started

    def apply(self, scores: Tensor, step: Step) -> None:
        for number, sequences in enumerate(self._of_sources):
            sources = slice(number, number + 1) if len(self._of_sources) > 1 else slice(None)
            if tokens := [sequence[0] for sequence in sequences if len(sequence) == 1]:
                scores[sources, :, tokens] = -torch.inf
            for *start, last in (sequence for sequence in sequences if len(sequence) > 1):
                history = step.history
                assert history is not None
                if history.shape[-1] >= len(start):
                    begun = (history[sources, :, -len(start) :] == history.new_tensor(start)).all(-1)  # (B, K)
                    scores[sources, :, last].masked_fill_(begun, -torch.inf)
