"""Bilinear attention (Luong et al. 2015, section 3.1, "general")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, weighted_sum
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import DropoutRate, Positive
from multimodal_attn.types import Memory


class GeneralAttention(Attention):
    """Scores ``query . W memory``: a dot product with one matrix between both widths.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        normalizer: from scores to weights, see ``Normalizer``.
        temperature: divides the scores.
        dropout: on the weights that make the context, not on those that are reported.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        normalizer: NormalizerName = "softmax",
        temperature: Positive = 1.0,
        dropout: DropoutRate = 0.0,
    ) -> None:
        super().__init__()
        self.key = nn.Linear(memory_dim, query_dim, bias=False)
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor]:
        """Keys (B, H, S), laid out for the product of every step."""
        return (self.key(memory.compared).transpose(1, 2).contiguous(),)

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        (keys,) = projected
        weights = self.normalizer(torch.bmm(query, keys), memory.mask[:, None])
        return AttentionStep(weighted_sum(self.dropout(weights), memory), weights[:, :, None], None)
