"""Hard monotonic attention, trained in expectation (Raffel et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.attention.base import Attention, AttentionStep, first_position, weighted_sum
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.models.kernels.recurrence import recurrence
from multimodal_attn.ranges import Count, Finite, NotNegative
from multimodal_attn.types import Memory


class MonotonicAttention(Attention):
    """Walks over the memory from where it stopped last, and stops at each position with probability ``sigmoid(score)``.

    In training the weights are the expected alignment over all walks (section 2.3), and noise before the sigmoid
    teaches the model to be decided (section 2.5). In evaluation the walk itself is taken: it stops at the first
    position whose probability is above one half, and all weight lies there, so that a step never needs the memory
    after that position. Scores are ``gain * v / |v| . tanh(W_k memory + W_q query) + offset`` (section 2.4).

    A walk that stops nowhere ends, here, at the last real position, which always stops. (In the paper it leaves the
    memory with a context of zeros; the weights would then sum to less than 1.)

    Args:
        query_dim: width H of the query.
        memory_dim: width D of the memory.
        attention_dim: width A of the hidden layer.
        noise: standard deviation of what is added to the scores in training.
        initial_offset: of the scores. Walks begin with steps of about ``exp(-initial_offset)`` positions: the more
            positions a token spans, the lower it should be.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        attention_dim: Count = 256,
        noise: NotNegative = 1.0,
        initial_offset: Finite = -1.0,
    ) -> None:
        super().__init__()
        self.noise = noise
        self.key = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        self.score = nn.Linear(attention_dim, 1, bias=False)
        self.gain = nn.Parameter(torch.tensor(attention_dim**-0.5))
        self.offset = nn.Parameter(torch.tensor(float(initial_offset)))

    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """See ``additive_keys``."""
        return additive_keys(self.key(memory.compared))

    def start(self, memory: Memory, rows: int) -> Tensor:
        """At the first real position, (B, rows, S)."""
        return first_position(memory)[:, None].expand(-1, rows, -1)

    def align(self, query: Tensor, keys: tuple[Tensor, ...], memory: Memory, previous: Tensor) -> Tensor:
        """Where each walk stops: expected in training, taken in evaluation; ``keys`` are of ``additive_keys``.

        Shapes:
            query: (B, K, H). previous: (B, K, S), the alignment of the step before. Returns (B, K, S).
        """
        direction = functional.normalize(self.score.weight[0], dim=0)
        scores = self.gain * additive_scores(keys, self.query(query), direction, mask=memory.mask) + self.offset
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if not self.training:
            return hard_alignment(scores, memory.mask, previous)
        return expected_alignment(scores + self.noise * torch.randn_like(scores), memory.mask, previous)

    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        assert state is not None, "monotonic attention needs the state that start() gives"
        weights = self.align(query, projected, memory, state)
        return AttentionStep(weighted_sum(weights, memory), weights[:, :, None], weights)


def expected_alignment(scores: Tensor, mask: Tensor, previous: Tensor) -> Tensor:
    """The probability that a walk from ``previous`` stops at each position (section 2.3).

    A walk arrives at j if it started there, or arrived at j - 1 and did not stop:
    ``arrive_j = (1 - stop_{j-1}) arrive_{j-1} + previous_j``. The paper solves this with a quotient of cumulative
    products, which underflow; here it stays a recurrence of numbers between 0 and 1.

    Shapes:
        scores: (B, K, S). mask: (B, S). previous: (B, K, S). Returns (B, K, S).
    """
    real, last = mask[:, None], _last(mask)[:, None]
    stop = scores.sigmoid().masked_fill(last, 1.0).masked_fill(~real, 0.0)
    go = (-scores).sigmoid().masked_fill(last, 0.0).masked_fill(~real, 1.0)
    return stop * recurrence(functional.pad(go[..., :-1], (1, 0)), previous.to(go.dtype))


def hard_alignment(scores: Tensor, mask: Tensor, previous: Tensor) -> Tensor:
    """A weight of 1 at the first position, from that of ``previous`` on, whose score is above 0.

    Shapes:
        As ``expected_alignment``; ``previous`` has one weight of 1 in each row.
    """
    reached = previous.cumsum(-1) > 0.5
    stops = reached & mask[:, None] & ((scores > 0) | _last(mask)[:, None])
    return (stops & (stops.cumsum(-1) == 1)).to(scores.dtype)


def _last(mask: Tensor) -> Tensor:
    """True at the last real position of each row."""
    return mask & (mask.flip(-1).cumsum(-1).flip(-1) == 1)
