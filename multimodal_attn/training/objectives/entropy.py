"""Entropy of the attention weights."""

from __future__ import annotations

from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Finite
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Memory


class Entropy(Objective):
    """Mean entropy of the weights of a step and head, relative to the logarithm of the number of real positions.

    1 is uniform, 0 a single position, as in the measure ``attention_entropy``. A positive ``weight`` makes attention
    sharp, a negative one keeps it spread.

    Args:
        weight: of this objective in the sum.
    """

    def __init__(self, weight: Finite = 0.1) -> None:
        super().__init__(weight)

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        weights = output.weights.float()  # (B, K, T, N, S)
        # Clamped: the slope of x log x is infinite at the exact zeros that sparse normalizers and padding have.
        entropy = -(weights * weights.clamp(min=1e-8).log()).sum(-1).mean(-1)  # (B, K, T)
        # One position has no entropy at all, and log 1 = 0 is nothing to divide by.
        uniform = memory.mask.sum(-1).clamp(min=2).log()[:, None, None]
        return (entropy / uniform * output.mask).sum() / output.mask.sum().clamp(min=1)
