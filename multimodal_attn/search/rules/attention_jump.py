"""Attention does not jump."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from multimodal_attn.masking import select_rows
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Count
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.types import Memory


class AttentionJump(Rule):
    """Gives up the rows whose peak of attention moves too far in one step, as it does when a text starts over; never
    all that are left of a source.

    Args:
        max_attention_jump: memory positions that it may move; None for any number.
    """

    needs_beam = True

    def __init__(self, max_attention_jump: Count | None = None) -> None:
        self.limit, self.active = max_attention_jump or 0, max_attention_jump is not None
        self._peak: Tensor | None = None

    def __str__(self) -> str:
        return f"max_attention_jump: {self.limit}"

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        return type(self)(self.limit)

    def apply(self, scores: Tensor, step: Step) -> None:
        before, self._peak = self._peak, step.attention.weights.mean(2).argmax(-1)
        if before is None:
            return
        jumped = (self._peak - before).abs() > self.limit
        others = (step.totals.isfinite() & ~jumped).any(1, keepdim=True)
        step.totals.masked_fill_(jumped & others, -float("inf"))

    def advance(self, origins: Tensor, tokens: Tensor) -> None:
        assert self._peak is not None, "a row is looked at before it is moved"
        self._peak = select_rows(self._peak, origins)
