"""Coverage loss: do not attend again to what was attended to before (See et al. 2017, equation 12)."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import NotNegative
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Memory


class Coverage(Objective):
    """Mean over steps and heads of ``sum_s min(weights_s, coverage_s)``; coverage sums the weights of earlier steps.

    0 if every step attends to new positions only, 1 if none does. Meant for ``attention=coverage``, and good for any
    mechanism where a position should be read once.

    Args:
        weight: of this objective in the sum; the paper takes 1.
    """

    def __init__(self, weight: NotNegative = 1.0) -> None:
        super().__init__(weight)

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        weights = output.weights.float()  # (B, K, T, N, S), 0 after the end of a text
        coverage = weights.cumsum(2) - weights
        repeated = torch.minimum(weights, coverage).sum(-1).mean(-1)  # (B, K, T)
        return repeated.sum() / output.mask.sum().clamp(min=1)
