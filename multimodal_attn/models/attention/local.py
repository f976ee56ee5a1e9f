"""Attention within a window around a predicted center (Luong et al. 2015, section 3.2, "local-p")."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, first_position, weighted_sum
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import Count, DropoutRate, Positive
from multimodal_attn.types import Memory


class LocalAttention(Attention):
    """Bilinear scores, kept near a center: ``query . W memory - (s - center)^2 / (2 (window / 2)^2)``.

    With the softmax these are the paper's weights (equation 10, alignment times Gaussian), divided by their sum.
    Positions more than ``window`` away from the center get exactly 0. Positions count along the memory: the mechanism
    is meant for time and text; on a picture, row by row, a window is a band.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layer that predicts the center.
        window: D of the paper, in positions to each side.
        center: "predicted" anew in every step, anywhere in the memory (equation 9): ``last * sigmoid(...)``; or
            "previous": at most ``window`` positions after the peak of the step before, ``peak + window *
            sigmoid(...)``, starting at the first position, so that attention moves forward through the memory and
            never jumps.
        normalizer: from scores to weights, see ``Normalizer``.
        temperature: divides the scores.
        dropout: on the weights that make the context, not on those that are reported.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        window: Count = 10,
        center: Literal["predicted", "previous"] = "predicted",
        normalizer: NormalizerName = "softmax",
        temperature: Positive = 1.0,
        dropout: DropoutRate = 0.0,
    ) -> None:
        super().__init__()
        self.window, self.center = window, center
        self.key = nn.Linear(memory_dim, query_dim, bias=False)
        # Spelled as in checkpoints.
        self.centre_hidden = nn.Linear(query_dim, attention_dim, bias=False)
        self.centre_score = nn.Linear(attention_dim, 1, bias=False)
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor]:
        """Keys (B, H, S), laid out for the product of every step."""
        return (self.key(memory.compared).transpose(1, 2).contiguous(),)

    def start(self, memory: Memory, rows: int) -> Tensor | None:
        """With ``center="previous"``, all weight on the first real position, (B, rows, S)."""
        return first_position(memory)[:, None].expand(-1, rows, -1) if self.center == "previous" else None

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        (keys,) = projected
        scores = torch.bmm(query, keys)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # bfloat16 has no room for positions
        positions = torch.arange(keys.shape[-1], device=keys.device, dtype=scores.dtype)
        distance = positions - self._centers(query, memory, state).to(scores.dtype)  # (B, K, S)
        near = memory.mask[:, None] & (distance.detach().abs() <= self.window)
        weights = self.normalizer(scores - 2 * (distance / self.window).square(), near)
        following = weights if self.center == "previous" else None
        return AttentionStep(weighted_sum(self.dropout(weights), memory), weights[:, :, None], following)

    def _centers(self, query: Tensor, memory: Memory, state: Tensor | None) -> Tensor:
        """(B, K, 1), between the first position and the last real one."""
        share = self.centre_score(self.centre_hidden(query).tanh()).float().sigmoid()
        last = (memory.mask.sum(-1) - 1).clamp(min=0)[:, None, None]
        if self.center == "predicted":
            return last * share
        assert state is not None, "local attention needs the state that start() gives"
        return torch.minimum(state.argmax(-1, keepdim=True) + self.window * share, last.to(share.dtype))
