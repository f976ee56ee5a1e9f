"""Monotonic chunkwise attention (Chiu & Raffel 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.attention.base import AttentionStep, weighted_sum
from multimodal_attn.models.attention.monotonic import MonotonicAttention
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.ranges import Count, Finite, NotNegative
from multimodal_attn.types import Memory


class MochaAttention(MonotonicAttention):
    """Monotonic attention that looks back softly: over a chunk of positions that ends where the walk stopped.

    The weights that are reported are those of the chunk; where the walk stopped travels in the state. As in
    ``MonotonicAttention``, a walk that stops nowhere ends at the last real position.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layers, one for the walk and one for the chunk.
        noise: standard deviation of what is added to the scores of the walk in training.
        initial_offset: of these scores, see ``MonotonicAttention``.
        chunk_size: w, positions in a chunk.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        noise: NotNegative = 1.0,
        initial_offset: Finite = -1.0,
        chunk_size: Count = 4,
    ) -> None:
        super().__init__(query_dim, memory_dim, attention_dim, noise, initial_offset)
        self.chunk_size = chunk_size
        self.chunk_key = nn.Linear(memory_dim, attention_dim)
        self.chunk_query = nn.Linear(query_dim, attention_dim, bias=False)
        self.chunk_score = nn.Linear(attention_dim, 1, bias=False)

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """Keys of the walk and of the chunk, see ``additive_keys``."""
        return (*super().project(memory), *additive_keys(self.chunk_key(memory.compared)))

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        assert state is not None, "monotonic attention needs the state that start() gives"
        keys, chunk_keys = projected[: len(projected) // 2], projected[len(projected) // 2 :]
        alignment = self.align(query, keys, memory, state)
        scores = additive_scores(chunk_keys, self.chunk_query(query), self.chunk_score.weight[0], mask=memory.mask)
        weights = spread_over_chunks(alignment, scores, memory.mask, self.chunk_size)
        return AttentionStep(weighted_sum(weights, memory), weights[:, :, None], alignment)


def spread_over_chunks(alignment: Tensor, scores: Tensor, mask: Tensor, chunk_size: int) -> Tensor:
    """Spreads the weight of each stop over the ``chunk_size`` positions that end there, by a softmax of their scores.

    Each chunk has a softmax of its own: sums of exponentials over the whole memory (the paper's moving sums) lose a
    chunk whose scores all lie far below the best of the memory.

    Shapes:
        alignment, scores: (B, K, S). mask: (B, S). Returns (B, K, S).
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    lowest = torch.finfo(scores.dtype).min
    before = chunk_size - 1
    scores = functional.pad(scores.masked_fill(~mask[:, None], lowest), (before, 0), value=lowest)
    chunks = scores.unfold(-1, chunk_size, 1).softmax(-1) * alignment[..., None]  # (B, K, S, w)
    # Place i of the chunk that ends at j is position j - before + i.
    size = mask.shape[1]
    placed = [functional.pad(chunks[..., i], (i, before - i)) for i in range(chunk_size)]
    return torch.stack(placed).sum(0)[..., before : before + size].masked_fill(~mask[:, None], 0.0)
