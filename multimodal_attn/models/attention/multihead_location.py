"""Location-aware attention with several heads, each of which follows its own weights (Chorowski et al. 2015 and
Chiu et al. 2018, section 2.2, joined as in ESPnet's ``multi_head_loc``)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, uniform_weights
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores_of_heads
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.heads import join_heads, split_heads
from multimodal_attn.ranges import Count, DropoutRate, OddCount, Positive
from multimodal_attn.types import Memory


class MultiHeadLocationAttention(Attention):
    """Of each head n: scores ``v_n . tanh(W_kn memory + W_qn query + W_fn (F_n * previous_n))`` and values of its own.

    The contexts of the heads are joined and projected back to width D. The previous weights start uniform over the
    real positions.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layers of all heads together.
        num_heads: N; must divide ``attention_dim``.
        num_filters: channels of each head's convolution F over its previous weights.
        kernel_size: its width in memory steps; odd, so that a filter has a center.
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
        num_filters: Count = 8,
        kernel_size: OddCount = 31,
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
        self.key = nn.Linear(memory_dim, attention_dim)
        self.value = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        # Grouped: filters and projections of a head see that head only.
        self.location_filters = nn.Conv1d(
            num_heads, num_heads * num_filters, kernel_size, padding=kernel_size // 2, groups=num_heads, bias=False
        )
        self.location = nn.Conv1d(num_heads * num_filters, attention_dim, 1, groups=num_heads, bias=False)
        # One v for each head, as one Linear would initialize it.
        width = attention_dim // num_heads
        self.score = nn.Parameter(torch.empty(num_heads, width).uniform_(-(width**-0.5), width**-0.5))
        self.output = nn.Linear(attention_dim, memory_dim)
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """Values (B, N, S, head), then what ``additive_keys`` makes."""
        values = split_heads(self.value(memory.states), self.num_heads)
        return values.contiguous(), *additive_keys(self.key(memory.compared), exponentials=False)

    def start(self, memory: Memory, rows: int) -> Tensor:
        """Uniform weights over real positions, (B, rows, N, S)."""
        return uniform_weights(memory)[:, None, None].expand(-1, rows, self.num_heads, -1)

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        assert state is not None, "location attention needs the state that start() gives"
        values, *keys = projected
        located = self.location(self.location_filters(state.flatten(0, 1))).transpose(1, 2)  # (B * K, S, A)
        located = located.unflatten(0, state.shape[:2])
        scores = additive_scores_of_heads(tuple(keys), self.query(query), self.score, located)
        weights = self.normalizer(scores, memory.mask[:, None, None])  # (B, N, K, S)
        each = weights.transpose(1, 2)
        return AttentionStep(self.output(join_heads(self.dropout(weights) @ values)), each, each)
