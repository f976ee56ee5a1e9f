"""Additive attention that knows how much of each position it has read (See et al. 2017, section 2.3)."""

from __future__ import annotations

from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, weighted_sum
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import Count, DropoutRate, Positive
from multimodal_attn.types import Memory


class CoverageAttention(Attention):
    """Scores ``v . tanh(W_k memory + W_q query + w_c coverage)`` (equation 11).

    The coverage of a position is the sum of the weights that it got in all steps before (equation 10). Use it with
    ``objective=[cross_entropy,coverage]``: without that penalty the paper found it to have no effect.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layer.
        normalizer: from scores to weights, see ``Normalizer``.
        temperature: divides the scores.
        dropout: on the weights that make the context, not on those that are reported and counted.
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
        self.coverage = nn.Linear(1, attention_dim, bias=False)
        self.score = nn.Linear(attention_dim, 1, bias=False)
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """See ``additive_keys``."""
        return additive_keys(self.key(memory.compared), exponentials=False)

    def start(self, memory: Memory, rows: int) -> Tensor:
        """Nothing read yet: zeros (B, rows, S)."""
        return memory.states.new_zeros(len(memory.mask), rows, memory.mask.shape[1])

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        assert state is not None, "coverage attention needs the state that start() gives"
        scores = additive_scores(
            projected,
            self.query(query),
            self.score.weight[0],
            state[..., None],
            self.coverage.weight,
            memory.mask,
        )
        weights = self.normalizer(scores, memory.mask[:, None])
        return AttentionStep(weighted_sum(self.dropout(weights), memory), weights[:, :, None], state + weights)
