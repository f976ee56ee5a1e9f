"""Words that no text holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.words import whole_words


class Forbidden(Rule):
    """Takes out of the choice what would complete a forbidden word.

    Args:
        forbidden: words, or several words separated by spaces. ``prepare`` turns them into tokens.
    """

    def __init__(self, forbidden: Sequence[str | int] = ()) -> None:
        self.words, self.active = [str(word) for word in forbidden], bool(forbidden)

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        words = whole_words(self.words, tokenizer, "search.forbidden")
        sequences = [sequence for ways in words for sequence in ways]
        self._tokens = [sequence[0] for sequence in sequences if len(sequence) == 1]
        self._sequences = [sequence for sequence in sequences if len(sequence) > 1]
        self.needs_history = bool(self._sequences)  # a search need not carry its texts for single tokens

    def apply(self, scores: Tensor, step: Step) -> None:
        if self._tokens:
            scores[..., self._tokens] = -torch.inf
        for *start, last in self._sequences:
            history = step.history
            assert history is not None
            if history.shape[-1] >= len(start):
                begun = (history[..., -len(start) :] == history.new_tensor(start)).all(-1)  # (B, K)
                scores[..., last].masked_fill_(begun, -torch.inf)
