"""Coverage of the memory as a scorer."""

from __future__ import annotations

from copy import copy
from typing import Self

from torch import Tensor

from multimodal_attn.masking import select_rows
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import NotNegative, Positive
from multimodal_attn.search.follower import Step
from multimodal_attn.search.scorers.base import Scorer
from multimodal_attn.types import Memory


class CoverageScorer(Scorer):
    """Rewards each memory position that a text has attended to (Chorowski & Jaitly 2017, section 3.2): one that leaves
    out or repeats a part of its source covers less of it.

    Args:
        coverage_weight: for every such position.
        coverage_threshold: attention from which a position counts, summed over the steps.
    """

    name = "coverage"
    _received: Tensor  # of one batch: (B, K, S) attention so far

    def __init__(self, coverage_weight: NotNegative = 0.0, coverage_threshold: Positive = 0.5) -> None:
        self.weight, self.threshold, self.active = coverage_weight, coverage_threshold, coverage_weight > 0

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        started = copy(self)
        started._received = memory.states.new_zeros(len(memory.mask), rows, memory.mask.shape[1])
        return started

    def bonus(self, step: Step) -> Tensor:
        self._received = self._received + step.attention.weights.mean(2)
        return self.weight * (self._received > self.threshold).sum(-1).to(self._received.dtype)

    def advance(self, origins: Tensor, tokens: Tensor) -> None:
        self._received = select_rows(self._received, origins)
