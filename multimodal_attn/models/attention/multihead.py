"""Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2.2)."""

from __future__ import annotations

from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.heads import join_heads, split_heads
from multimodal_attn.ranges import Count, DropoutRate, Positive
from multimodal_attn.types import Memory


class MultiHeadAttention(Attention):
    """N heads, each with keys and values of its own; their contexts are joined and projected back to width D.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width of all heads together.
        num_heads: N; must divide ``attention_dim``.
        normalizer: from scores to weights, see ``Normalizer``.
        temperature: divides the scores.
        dropout: on the weights that make the context, not on those that are reported.

    Raises:
        ValueError: if ``attention_dim`` is not a multiple of ``num_heads``.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        num_heads: Count = 4,
        normalizer: NormalizerName = "softmax",
        temperature: Positive = 1.0,
        dropout: DropoutRate = 0.0,
    ) -> None:
        super().__init__()
        if attention_dim % num_heads:
            raise ValueError(
                f"attention.attention_dim: {attention_dim} is not a multiple of attention.num_heads ({num_heads})"
            )
        self.num_heads = num_heads
        self.head_dim = attention_dim // num_heads
        self.key = nn.Linear(memory_dim, attention_dim, bias=False)  # a bias would fall out of the softmax
        self.value = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim)
        self.output = nn.Linear(attention_dim, memory_dim)
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor, Tensor]:
        """Scaled keys (B, N, head, S) and values (B, N, S, head)."""
        keys = split_heads(self.key(memory.compared), self.num_heads)
        values = split_heads(self.value(memory.states), self.num_heads)
        return (keys * self.head_dim**-0.5).transpose(2, 3).contiguous(), values.contiguous()

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        keys, values = projected
        scores = split_heads(self.query(query), self.num_heads) @ keys  # (B, N, K, S)
        weights = self.normalizer(scores, memory.mask[:, None, None])
        context = self.output(join_heads(self.dropout(weights) @ values))
        return AttentionStep(context, weights.transpose(1, 2), None)
