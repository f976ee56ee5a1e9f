"""No text ends too early."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.ranges import WholeNumber
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.types import EOS


class MinLength(Rule):
    """Keeps <eos> out of the choice at first.

    Args:
        min_length: tokens before <eos> may come.
    """

    def __init__(self, min_length: WholeNumber = 0) -> None:
        self.min_length, self.active = min_length, min_length > 0

    def apply(self, scores: Tensor, step: Step) -> None:
        if step.number < self.min_length:
            scores[..., EOS] = -torch.inf
