"""Words that every text begins with."""

from __future__ import annotations

from copy import copy
from typing import Self

import torch
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.words import known_words, tokenizers_of
from multimodal_attn.types import UNK, Memory


class Prefix(Rule):
    """Leaves no choice until the given words are written, then a new word or the end, and every choice afterwards.

    What another rule forbids within them ends the text.

    Args:
        prefix: text in the words of the model's vocabulary or of every source; None for none.
    """

    _tokens: Tensor  # of each source of one batch, or once for all

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix, self.active = prefix or "", bool(prefix and prefix.strip())

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        if not tokenizer.copies:
            self._tokens_of(tokenizer)
        # Else the last word would only be the beginning of one, where words are spelled.
        parts = tokenizer.vocabulary.parts
        inside = [i for i, part in enumerate(parts) if part and not part[0].isspace()]
        self._inside_words = torch.tensor(inside, dtype=torch.long)

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        started = copy(self)
        tokens = [self._tokens_of(tokenizer) for tokenizer in tokenizers_of(memory, self._tokenizer)]
        started._tokens = torch.tensor(tokens, device=memory.mask.device)
        return started

    def _tokens_of(self, tokenizer: Tokenizer) -> list[int]:
        tokens = tokenizer.encode(self.prefix)
        if UNK in tokens:
            raise ValueError(f"search.prefix: {self.prefix!r}; expected {known_words(tokenizer)}")
        return tokens

    def apply(self, scores: Tensor, step: Step) -> None:
        length = self._tokens.shape[1]
        if step.number < length:
            token = self._tokens[:, step.number, None, None].expand(*scores.shape[:2], 1)
            kept = scores.gather(-1, token)
            scores.fill_(-torch.inf).scatter_(-1, token, kept)
        elif step.number == length:
            scores[..., self._inside_words.to(scores.device)] = -torch.inf
