"""Words that every text begins with."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.types import UNK


class Prefix(Rule):
    """Leaves no choice until the given words are written, then a new word or the end, and every choice afterwards.

    What another rule forbids within them ends the text.

    Args:
        prefix: text in the words of the model's vocabulary; None for none. ``prepare`` turns it into tokens.
    """

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix, self.active = prefix or "", bool(prefix and prefix.strip())

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        self._tokens = tokenizer.encode(self.prefix)
        if UNK in self._tokens:
            raise ValueError(f"search.prefix: {self.prefix!r}; expected words of the run's vocabulary")
        # Else the last word would only be the beginning of one, where words are spelled.
        parts = tokenizer.vocabulary.parts
        inside = [i for i, part in enumerate(parts) if part and not part[0].isspace()]
        self._inside_words = torch.tensor(inside, dtype=torch.long)

    def apply(self, scores: Tensor, step: Step) -> None:
        if step.number < len(self._tokens):
            token = self._tokens[step.number]
            kept = scores[..., token].clone()
            scores.fill_(-torch.inf)
            scores[..., token] = kept
        elif step.number == len(self._tokens):
            scores[..., self._inside_words.to(scores.device)] = -torch.inf
