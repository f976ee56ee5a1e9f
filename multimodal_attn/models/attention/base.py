"""The contract of attention.

A mechanism holds no hidden state between calls. What depends only on the source is projected once
(``project``); what one step leaves for the next travels through ``state``. Queries come as (B, K, H): K rows
share the memory of their source, which is therefore never copied.

A new mechanism is one file with one class like these and one yaml in ``conf/attention``; the contract
tests find it by its yaml.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from multimodal_attn.models.kernels.fast_loop import LoopAttention
from multimodal_attn.types import Memory


class AttentionStep(NamedTuple):
    """What attention gives for one step.

    Attributes:
        context: (B, K, D) the weighted memory.
        weights: (B, K, N, S), summing to 1 over real positions and exactly 0 on padding.
        state: (B, K, ...) for the next step, or None for mechanisms without memory of their own.
        choice: (B, K, N) int64, for mechanisms that draw a position in training: the one that made the context, -1
            where the weights themselves did. None for all others, and where what was drawn has a gradient of its own.
        gate: (B, K) share of the context that the decoder let through, in [0, 1]; None for decoders without a gate.
    """

    context: Tensor
    weights: Tensor
    state: Tensor | None
    choice: Tensor | None = None
    gate: Tensor | None = None


class Attention(nn.Module, ABC):
    """Maps a query and a memory to a weighted sum of that memory.

    Constructors take ``query_dim`` and ``memory_dim`` by keyword; the decoder gives both.

    Attributes:
        num_heads: N.
        objective: name of the objective without which the mechanism does not learn where to look, or None.
    """

    num_heads: int = 1
    objective: str | None = None

    @abstractmethod
    def project(self, memory: Memory) -> tuple[Tensor, ...]:
        """Does once per source whatever does not depend on the query.

        Shapes:
            Returns tensors of any shape whose first axis is B.
        """

    def start(self, memory: Memory, rows: int) -> Tensor | None:
        """The state before the first step, (B, rows, ...), or None."""
        return None

    def loop_attention(self) -> LoopAttention | None:
        """What the fast loop of the recurrent decoder needs to take the place of ``forward``; None if it cannot, as the
        mechanism is set now. A subclass must offer it by itself, see ``kernels.offered``."""
        return None

    @abstractmethod
    def forward(
        self, query: Tensor, projected: tuple[Tensor, ...], memory: Memory, state: Tensor | None
    ) -> AttentionStep:
        """One step.

        Shapes:
            query: (B, K, H). projected: what ``project`` gave for ``memory``.
        """


def weighted_sum(weights: Tensor, memory: Memory) -> Tensor:
    """The context of a single-head mechanism, in the precision of the memory: autocast would convert it in each step.

    Shapes:
        weights: (B, K, S). Returns (B, K, D).
    """
    with torch.autocast(weights.device.type, enabled=False):
        return torch.bmm(weights.to(memory.states.dtype), memory.states)


def uniform_weights(memory: Memory) -> Tensor:
    """The same weight for every real position; all 0 where none is real.

    Shapes:
        Returns (B, S).
    """
    real = memory.mask.to(memory.states.dtype)
    return real / real.sum(-1, keepdim=True).clamp(min=1)


def first_position(memory: Memory) -> Tensor:
    """All weight on the first real position, where a reader starts; all 0 where none is real.

    Shapes:
        Returns (B, S).
    """
    return (memory.mask & (memory.mask.cumsum(-1) == 1)).to(memory.states.dtype)
