"""What the loop is given, what it keeps of all steps, and what one step sees of that."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class LoopAttention(NamedTuple):
    """What a mechanism of additive scores and a softmax offers to the loop: parameters, as its plain modules hold them.

    Attributes:
        query: (A, H) of the hidden layer.
        score: (A,) v.
        location: (A, F) of the filtered previous weights to the hidden layer; or None.
        filters: (F, kernel) over the previous weights; or None.
        agent: (reach + 1, D + H) of [context, query] to the shifts of forward attention, and its bias; or None.
        reach: of forward attention; None for the others.
    """

    query: Tensor
    score: Tensor
    location: Tensor | None = None
    filters: Tensor | None = None
    agent: Tensor | None = None
    agent_bias: Tensor | None = None
    reach: int | None = None


class LoopWeights(NamedTuple):
    """Parameters of the loop: those of ``LoopAttention``, and of the decoder.

    Attributes:
        recurrent: (4H, D + H) of [context, hidden] to the gates i, f, o, g.
        gate: (H,) and its bias (1,) of Show-Attend-Tell's beta; or None.
    """

    query: Tensor
    score: Tensor
    location: Tensor | None
    filters: Tensor | None
    agent: Tensor | None
    agent_bias: Tensor | None
    recurrent: Tensor
    gate: Tensor | None
    gate_bias: Tensor | None


@dataclass(frozen=True)
class LoopPlan:
    """What the loop does without tensors.

    Attributes:
        attend_before: attention before the LSTM (Xu et al. 2015) or after it (Chan et al. 2016).
        active: sources still in the loop at each step, never growing.
        dtype: of the products with weights; those with the memory are in its own, all else in float32 or wider.
        reach: of forward attention; None for the others.
    """

    attend_before: bool
    active: list[int]
    dtype: torch.dtype
    reach: int | None = None

    def buffer(self, sources: Tensor, width: int, before: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        """(before + T, B, K, width) for what the steps write; 0 for sources that have left the loop.

        Shapes:
            sources: (B, K, anything), of the same kind.
        """
        made = sources.new_empty(before + len(self.active), *sources.shape[:2], width, dtype=dtype)
        made[:before] = 0.0
        for t, n in enumerate(self.active):
            if n < len(sources):
                made[before + t, n:] = 0.0
        return made

    def views(self, steps: Tensor) -> list[Tensor]:
        """What each step sees of (T, B, ...): its first n sources. All at once, as a view takes as long as arithmetic
        on a few thousand numbers. Without the steps that have no source."""
        views: list[Tensor] = []
        for n, group in itertools.groupby(number for number in self.active if number):
            views += steps[len(views) : len(views) + len(list(group)), :n].unbind(0)
        return views

    def still(self, sources: Tensor) -> list[Tensor]:
        """The same of (B, ...), which is no different in every step."""
        first = {n: sources[:n] for n in set(self.active)}
        return [first[n] for n in self.active if n]


class Kept(NamedTuple):
    """What the backward needs of all steps. Where there are T + 1, index t + 1 is after step t, index 0 the start.

    Attributes:
        hiddens, cells: (T + 1, B, K, H).
        contexts: (T + 1, B, K, D), gated; attended (T, B, K, D), not: without a gate, the same numbers.
        activations: (T, B, K, 4H) of the gates.
        betas: (T, B, K, 1).
        weights: (T + 1, B, K, S).
        queries: (T, B, K, A), doubled and made ready for the hidden layer.
        shifts: (T + 1, B, K, reach + 1) probabilities of forward attention; (T + 1, B, K, 0) for the others.
    """

    hiddens: Tensor
    cells: Tensor
    contexts: Tensor
    attended: Tensor
    activations: Tensor
    betas: Tensor
    weights: Tensor
    queries: Tensor
    shifts: Tensor


class Step(NamedTuple):
    """What one step reads and writes of its n sources: views of ``Kept`` and of the memory."""

    last_hidden: Tensor
    last_cell: Tensor
    last_context: Tensor
    last_weights: Tensor
    last_shifts: Tensor
    hidden: Tensor
    cell: Tensor
    context: Tensor
    weights: Tensor
    shifts: Tensor
    attended: Tensor
    activations: Tensor
    beta: Tensor
    query: Tensor
    states: Tensor


def views_of_steps(plan: LoopPlan, kept: Kept, states: Tensor) -> list[Step]:
    carried = (kept.hiddens, kept.cells, kept.contexts, kept.weights, kept.shifts)
    written = (kept.attended, kept.activations, kept.betas, kept.queries)
    views = [plan.views(tensor[:-1]) for tensor in carried] + [plan.views(tensor[1:]) for tensor in carried]
    views += [plan.views(tensor) for tensor in written] + [plan.still(states)]
    return [Step(*step) for step in zip(*views, strict=True)]
