"""Stochastic hard attention (Xu et al. 2015, section 4.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from multimodal_attn.masking import masked_softmax
from multimodal_attn.models.attention.base import Attention, AttentionStep, weighted_sum
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.ranges import Count, Positive, Share
from multimodal_attn.types import Memory


class HardAttention(Attention):
    """Additive scores give the probability of each position (equations 4 and 5); in training one of them is drawn, and
    the context is its memory alone (equations 8 and 9).

    The weights that are reported are the probabilities. For a share of the texts, the context of all steps is the
    expected one, as in soft attention, which lowers the variance (end of section 4.1). Drawing has no gradient:

    - "gumbel" passes one around it (straight-through Gumbel-softmax; Jang et al. 2017, section 2.2): biased, and
      nothing else is needed;
    - "reinforce" is the paper's (equations 10 to 12): unbiased, and learns through ``objective=hard_attention``.

    In evaluation nothing is drawn.

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layer.
        estimator: how the scores learn, "gumbel" or "reinforce".
        expected_share: probability that a text is read with the expected context in training; 0.5 in the paper.
        temperature: of the Gumbel-softmax whose gradient is taken: lower is less biased, and varies more.
        evaluation: "best", the context of the most probable position, or "expected".
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        estimator: Literal["gumbel", "reinforce"] = "gumbel",
        expected_share: Share = 0.5,
        temperature: Positive = 1.0,
        evaluation: Literal["best", "expected"] = "best",
    ) -> None:
        super().__init__()
        self.estimator, self.expected_share, self.temperature = estimator, expected_share, temperature
        self.evaluation = evaluation
        self.objective = "hard_attention" if estimator == "reinforce" else None
        self.key = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        self.score = nn.Linear(attention_dim, 1, bias=False)

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """See ``additive_keys``."""
        return additive_keys(self.key(memory.compared))

    def start(self, memory: Memory, rows: int) -> Tensor | None:
        """In training, which texts take the expected context, (B, rows) bool."""
        if not self.training:
            return None
        return torch.rand(len(memory.mask), rows, device=memory.mask.device) < self.expected_share

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        mask = memory.mask[:, None]
        scores = additive_scores(projected, self.query(query), self.score.weight[0], mask=memory.mask)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        weights = masked_softmax(scores, mask)
        choice = None
        if not self.training:
            used = weights if self.evaluation == "expected" else one_hot(weights.argmax(-1), mask).to(weights.dtype)
        else:
            assert state is not None, "hard attention needs the state that start() gives in training"
            # The largest of the scores plus Gumbel noise is a draw from their softmax.
            noisy = scores - torch.empty_like(scores).exponential_().log()
            drawn = noisy.masked_fill(~mask, torch.finfo(noisy.dtype).min).argmax(-1)
            sample = one_hot(drawn, mask).to(weights.dtype)
            if self.estimator == "gumbel":
                soft = masked_softmax(noisy / self.temperature, mask)
                sample = sample + (soft - soft.detach())
            else:
                choice = drawn.masked_fill(state, -1)[..., None]
            used = torch.where(state[..., None], weights, sample)
        return AttentionStep(weighted_sum(used, memory), weights[:, :, None], state, choice)


def one_hot(positions: Tensor, mask: Tensor) -> Tensor:
    """True at each row's position, and False on padding, so that a source without real positions has none.

    Shapes:
        positions: (B, K) int64. mask: (B, 1, S). Returns (B, K, S) bool.
    """
    return (torch.arange(mask.shape[-1], device=mask.device) == positions[..., None]) & mask
