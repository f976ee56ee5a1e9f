"""Linear attention (Katharopoulos et al. 2020, section 3.2), as cross-attention from a decoder to its memory."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.ranges import Count
from multimodal_attn.types import Memory


class LinearAttention(Attention):
    """Weights ``f(query) . f(key) / sum of these``, with a positive feature map f in place of the exponential.

    The sum over positions moves in front of the query (equation 5): the memory is summed up in an A x D matrix once
    per source, and the context of a step, with its gradient, costs the same for any S. The weights are the
    kernel products themselves, so that what the context is made of can be seen; they cost A numbers a position, and
    nothing in the backward unless an objective reads them.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of queries, keys and features.
        feature_map: "elu" for elu(x) + 1 (equation 7), or "relu" for relu(x) + 0.001, where the constant keeps a
            query that meets no key from dividing by 0.
    """

    def __init__(
        self, query_dim: int, memory_dim: int, attention_dim: Count = 256, feature_map: Literal["elu", "relu"] = "elu"
    ) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.key = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim)

    def _features(self, x: Tensor) -> Tensor:
        return functional.elu(x) + 1 if self.feature_map == "elu" else functional.relu(x) + 1e-3

    def project(self, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, A, S), 0 on padding; their sum (B, A, 1); their products with the memory, summed (B, A, D)."""
        features = self._features(self.key(memory.compared)).masked_fill(~memory.mask[..., None], 0.0)
        features = features.transpose(1, 2).contiguous()
        return features, features.sum(-1, keepdim=True), torch.bmm(features, memory.states)

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        features, total, summary = projected
        queries = self._features(self.query(query))
        products = torch.bmm(queries, features)
        products = products.to(torch.promote_types(products.dtype, torch.float32))
        weights = products / _not_zero(products.sum(-1, keepdim=True))
        context = torch.bmm(queries, summary) / _not_zero(torch.bmm(queries, total))
        return AttentionStep(context, weights[:, :, None], None)


def _not_zero(total: Tensor) -> Tensor:
    """The same with 1 in place of 0, which is the sum over a memory without real positions."""
    return total.masked_fill(total == 0, 1.0)
