"""Additive attention (Bahdanau et al. 2015, section A.1.2; Xu et al. 2015, equations 4 to 6)."""

from __future__ import annotations

from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, weighted_sum
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.fast_loop import LoopAttention
from multimodal_attn.ranges import Count, DropoutRate, Positive
from multimodal_attn.types import Memory


class AdditiveAttention(Attention):
    """Scores ``v . tanh(W_k memory + W_q query)``.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layer.
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
        self.key = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        self.score = nn.Linear(attention_dim, 1, bias=False)
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """See ``additive_keys``."""
        return additive_keys(self.key(memory.compared))

    def loop_attention(self) -> LoopAttention | None:
        """See ``Attention``: with a plain softmax and without dropout."""
        if not self.normalizer.plain or self.dropout.drops:
            return None
        return LoopAttention(self.query.weight, self.score.weight[0])

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        scores = additive_scores(projected, self.query(query), self.score.weight[0], mask=memory.mask)
        weights = self.normalizer(scores, memory.mask[:, None])
        return AttentionStep(weighted_sum(self.dropout(weights), memory), weights[:, :, None], None)
