"""Doubly stochastic attention (Xu et al. 2015, section 4.2.1, equation 14)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import NotNegative
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Memory


class DoublyStochastic(Objective):
    """Asks every memory position for the same attention over the whole text: mean of ``(target - sum_t weights)^2``.

    The paper asks for a sum of 1 at each position, which T words cannot give to S > T positions; "share" asks for
    T / S. Heads are averaged, padding counts in neither mean.

    Args:
        weight: of this objective in the sum.
        target: "one" as in the paper, or "share" for T / S.
    """

    def __init__(self, weight: NotNegative = 1.0, target: Literal["one", "share"] = "share") -> None:
        super().__init__(weight)
        self.target = target

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        received = output.weights.float().mean(3).sum(2)  # (B, K, S)
        positions = memory.mask.sum(-1)  # (B,)
        words = output.mask.sum(-1)  # (B, K)
        target = words / positions.clamp(min=1)[:, None] if self.target == "share" else (words > 0).float()
        square = (target[..., None] - received).square() * memory.mask[:, None]
        per_text = square.sum(-1) / positions.clamp(min=1)[:, None]
        return per_text.sum() / (words > 0).sum().clamp(min=1)
