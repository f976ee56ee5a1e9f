"""No sequence of tokens occurs twice."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.ranges import WholeNumber
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.types import PAD


class NoRepeatNgram(Rule):
    """Takes out of the choice what would repeat a sequence of the text.

    Args:
        no_repeat_ngram: n, tokens of the sequences; 0 allows all.
    """

    needs_history = True

    def __init__(self, no_repeat_ngram: WholeNumber = 0) -> None:
        self.n, self.active = no_repeat_ngram, no_repeat_ngram > 0

    def apply(self, scores: Tensor, step: Step) -> None:
        history = step.history
        assert history is not None
        if history.shape[-1] < self.n:
            return
        earlier = history.unfold(-1, self.n, 1)  # (B, K, number of n-grams, n)
        now = history[..., history.shape[-1] - (self.n - 1) :]  # the n - 1 that a next one would make an n-gram
        same = (earlier[..., :-1] == now[..., None, :]).all(-1)
        # Padding is out of the choice anyway: it stands in where nothing has to be blocked.
        scores.scatter_(-1, earlier[..., -1].masked_fill(~same, PAD), -torch.inf)
