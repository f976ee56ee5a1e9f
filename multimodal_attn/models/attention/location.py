"""Location-aware attention (Chorowski et al. 2015, section 2.2, equations 8 and 9)."""

from __future__ import annotations

from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, uniform_weights, weighted_sum
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.fast_loop import LoopAttention
from multimodal_attn.models.kernels.windows import windows
from multimodal_attn.ranges import Count, DropoutRate, OddCount, Positive
from multimodal_attn.types import Memory


class LocationAttention(Attention):
    """Additive attention that also sees where it looked: scores ``v . tanh(W_k memory + W_q query + W_f (F *
    previous))``.

    The previous weights start uniform over the real positions, so that the first step prefers none of them.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layer.
        num_filters: channels of the convolution F over the previous weights.
        kernel_size: its width in memory steps; odd, so that a filter has a center.
        normalizer: from scores to weights, see ``Normalizer``.
        temperature: divides the scores.
        dropout: on the weights that make the context, not on those that are reported.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        num_filters: Count = 16,
        kernel_size: OddCount = 31,
        normalizer: NormalizerName = "softmax",
        temperature: Positive = 1.0,
        dropout: DropoutRate = 0.0,
    ) -> None:
        super().__init__()
        self.key = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        self.location_filters = nn.Linear(kernel_size, num_filters, bias=False)
        self.location = nn.Linear(num_filters, attention_dim, bias=False)
        self.score = nn.Linear(attention_dim, 1, bias=False)
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """See ``additive_keys``."""
        return additive_keys(self.key(memory.compared), exponentials=False)

    def start(self, memory: Memory, rows: int) -> Tensor:
        """Uniform weights over real positions, (B, rows, S)."""
        return uniform_weights(memory)[:, None].expand(-1, rows, -1)

    def loop_attention(self) -> LoopAttention | None:
        """See ``Attention``: with a plain softmax and without dropout."""
        if not self.normalizer.plain or self.dropout.drops:
            return None
        return LoopAttention(
            self.query.weight, self.score.weight[0], self.location.weight, self.location_filters.weight
        )

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        assert state is not None, "location attention needs the state that start() gives"
        # A convolution, laid out as the product with ``location`` wants it.
        half = self.location_filters.in_features // 2
        seen = self.location_filters(windows(state, half, half))  # (B, K, S, filters)
        scores = additive_scores(
            projected, self.query(query), self.score.weight[0], seen, self.location.weight, memory.mask
        )
        weights = self.normalizer(scores, memory.mask[:, None])
        return AttentionStep(weighted_sum(self.dropout(weights), memory), weights[:, :, None], weights)
