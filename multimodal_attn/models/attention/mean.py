"""No attention at all: the mean of the memory, as a control for what attention adds."""

from __future__ import annotations

from torch import Tensor

from multimodal_attn.models.attention.base import Attention, AttentionStep, uniform_weights
from multimodal_attn.types import Memory


class MeanPooling(Attention):
    """Equal weight for every real position at every step.

    Args:
        query_dim: width H of the query (not used).
        memory_dim: width D of the memory (not used).
    """

    def __init__(self, query_dim: int, memory_dim: int) -> None:
        super().__init__()

    def project(self, memory: Memory) -> tuple[Tensor, Tensor]:
        """The mean state (B, 1, D) and the uniform weights (B, 1, S)."""
        weights = uniform_weights(memory)[:, None]
        return weights @ memory.states, weights

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        context, weights = projected
        rows = query.shape[1]
        return AttentionStep(context.expand(-1, rows, -1), weights[:, None].expand(-1, rows, -1, -1), None)
