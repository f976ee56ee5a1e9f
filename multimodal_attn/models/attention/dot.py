"""Dot-product attention with one head (Luong et al. 2015), scaled as in Vaswani et al. 2017, equation 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, weighted_sum
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import Count, DropoutRate, Positive
from multimodal_attn.types import Memory


class DotAttention(Attention):
    """Scores ``(W_q query) . (W_k memory) / sqrt(A)``; the context is the memory itself.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A in which both meet.
        normalizer: from scores to weights, see ``Normalizer``.
        temperature: divides the scores.
        dropout: on the weights that make the context, not on those that are reported.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        normalizer: NormalizerName = "softmax",
        temperature: Positive = 1.0,
        dropout: DropoutRate = 0.0,
    ) -> None:
        super().__init__()
        # No bias on the keys: it would add the same to every score of a step, which the softmax ignores.
        self.key = nn.Linear(memory_dim, attention_dim, bias=False)
        self.query = nn.Linear(query_dim, attention_dim)
        self.scale = attention_dim**-0.5
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor]:
        """Keys (B, A, S), scaled and laid out for the product of every step."""
        return ((self.key(memory.compared) * self.scale).transpose(1, 2).contiguous(),)

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        (keys,) = projected
        weights = self.normalizer(torch.bmm(self.query(query), keys), memory.mask[:, None])
        return AttentionStep(weighted_sum(self.dropout(weights), memory), weights[:, :, None], None)
