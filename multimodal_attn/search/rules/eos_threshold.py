"""No text ends where going on is much likelier."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.ranges import Positive
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.types import EOS


class EosThreshold(Rule):
    """Lets <eos> come only if ``log p(<eos>) > gamma * max log p(other)`` (Hannun et al. 2019).

    Args:
        eos_threshold: gamma. Below 1 <eos> must beat the best other token by some distance, above 1 it may be that far
            behind; None lets it come anywhere.
    """

    def __init__(self, eos_threshold: Positive | None = None) -> None:
        self.active = eos_threshold is not None
        self.threshold = eos_threshold or 1.0

    def apply(self, scores: Tensor, step: Step) -> None:
        best_other = scores[..., EOS + 1 :].amax(-1) - step.normalizer  # what stands before <eos> is out of the choice
        too_early = scores[..., EOS] - step.normalizer <= self.threshold * best_other
        scores[..., EOS].masked_fill_(too_early, -torch.inf)
