"""Forward attention (Zhang, Ling & Dai 2018, algorithms 1 and 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep, first_position, weighted_sum
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.fast_loop import LoopAttention
from multimodal_attn.models.kernels.windows import windows
from multimodal_attn.ranges import Count, DropoutRate, Positive
from multimodal_attn.types import Memory


class ForwardAttention(Attention):
    """Additive attention to where one can get from the last step: weights in proportion to ``moved * exp(score)``.

    ``moved`` are the previous weights, which start on the first position, shifted by 0 to ``reach`` positions. Without
    an agent all shifts count alike (algorithm 1); the transition agent gives each of them a probability, from the
    context and the query of the step before (algorithm 2, where the two shifts of ``reach=1`` have 1 - u and u).

    The paper's reach of 1 is made for speech synthesis, where a memory position spans several steps. In recognition a
    step spans several positions: ``reach`` must be at least the longest stretch between two tokens.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layer.
        reach: positions that one step can go forward.
        agent: use the transition agent.
        normalizer: from the scores plus ``log moved`` to weights, see ``Normalizer``.
        temperature: divides the scores, not ``log moved``.
        dropout: on the weights that make the context, not on those that are reported and carried on.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        reach: Count = 1,
        agent: bool = True,
        normalizer: NormalizerName = "softmax",
        temperature: Positive = 1.0,
        dropout: DropoutRate = 0.0,
    ) -> None:
        super().__init__()
        self.reach = reach
        self.key = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        self.score = nn.Linear(attention_dim, 1, bias=False)
        self.agent = nn.Linear(memory_dim + query_dim, reach + 1) if agent else None
        self.normalizer = Normalizer(normalizer, temperature)
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """See ``additive_keys``."""
        return additive_keys(self.key(memory.compared))

    def start(self, memory: Memory, rows: int) -> Tensor:
        """(B, rows, reach + 1 + S): equal probabilities of all shifts, and all weight on the first position."""
        shifts = memory.states.new_full((len(memory.mask), self.reach + 1), 1 / (self.reach + 1))
        return torch.cat([shifts, first_position(memory)], dim=-1)[:, None].expand(-1, rows, -1)

    def loop_attention(self) -> LoopAttention | None:
        """See ``Attention``: with a plain softmax and without dropout."""
        if not self.normalizer.plain or self.dropout.drops:
            return None
        agent, bias = (None, None) if self.agent is None else (self.agent.weight, self.agent.bias)
        query, score = self.query.weight, self.score.weight[0]
        return LoopAttention(query, score, agent=agent, agent_bias=bias, reach=self.reach)

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        assert state is not None, "forward attention needs the state that start() gives"
        shifts, previous = state[..., : self.reach + 1], state[..., self.reach + 1 :]
        # The window of a position begins with the weight that is ``reach`` positions before it.
        moved = (windows(previous, self.reach, 0) * shifts.flip(-1)[:, :, None]).sum(-1)
        moved = moved.to(torch.promote_types(moved.dtype, torch.float32))
        scores = additive_scores(projected, self.query(query), self.score.weight[0], mask=memory.mask)
        scores = scores.to(moved.dtype)
        # In logarithms: far from the best score, the product itself would be 0 everywhere within reach.
        tiny = torch.finfo(moved.dtype).tiny
        within = memory.mask[:, None] & (moved > tiny)
        log_moved = moved.clamp(min=tiny).log() * self.normalizer.temperature
        weights = self.normalizer(scores + log_moved, within)
        context = weighted_sum(self.dropout(weights), memory)
        if self.agent is not None:
            shifts = self.agent(torch.cat([context, query], dim=-1)).to(moved.dtype).softmax(-1)
        return AttentionStep(context, weights[:, :, None], torch.cat([shifts, weights], dim=-1))
