"""Guided attention: a soft penalty on weights far from the diagonal (Tachibana et al. 2018, section 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Count, NotNegative, Positive
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Grid, Memory


class GuidedAttention(Objective):
    """Mean over the cells of all alignments of ``weights * (1 - exp(-(t / T - s / S)^2 / (2 sigma^2)))``.

    T and S are the real steps and positions of each text and source; padding counts neither in the sum nor among the
    cells. Heads are averaged.

    Args:
        weight: of this objective in the sum.
        sigma: width of the diagonal band, as a share of the text; g of the paper, which takes 0.2.
        epochs: in so many first epochs, until attention has found its way; None for all. Speech that begins after a
            pause, or ends before one, does not lie on the diagonal: there a longer push makes its times wrong.

    Raises:
        ValueError: when it is called for pictures, which have no diagonal.
    """

    def __init__(self, weight: NotNegative = 1.0, sigma: Positive = 0.2, epochs: Count | None = None) -> None:
        super().__init__(weight, epochs)
        self.sigma = sigma

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        if isinstance(memory.layout, Grid):
            raise ValueError("objective: guided_attention needs a source in the order of its text; pictures have none")
        weights = output.weights.float().mean(3)  # (B, K, T, S)
        steps, positions = output.mask.sum(-1), memory.mask.sum(-1)  # (B, K), (B,)
        step = torch.arange(weights.shape[2], device=weights.device) / steps.clamp(min=1)[..., None]
        position = torch.arange(weights.shape[3], device=weights.device) / positions.clamp(min=1)[:, None]
        distance = step[..., None] - position[:, None, None]
        penalty = 1 - torch.exp(-distance.square() / (2 * self.sigma**2))
        real = output.mask[..., None] & memory.mask[:, None, None]
        return (weights * penalty * real).sum() / real.sum().clamp(min=1)
