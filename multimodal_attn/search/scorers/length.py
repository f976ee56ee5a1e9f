"""Length as a scorer."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.ranges import Finite
from multimodal_attn.search.follower import Step
from multimodal_attn.search.scorers.base import Scorer


class LengthScorer(Scorer):
    """Adds a number for every token, <eos> counted.

    Args:
        length_bonus: that number; below 0 it makes texts shorter.
    """

    name = "length"

    def __init__(self, length_bonus: Finite = 0.0) -> None:
        self.length_bonus, self.active = length_bonus, length_bonus != 0

    def bonus(self, step: Step) -> Tensor:
        return torch.full_like(step.totals, self.length_bonus * (step.number + 1))
