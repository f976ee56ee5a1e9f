"""The time loop of ``RecurrentDecoder`` with a backward written by hand: the same values and gradients in less time.

``RecurrentDecoder.forward`` is the definition. This form covers one LSTM layer with additive, location-aware or forward
attention; every other combination takes the plain loop. What it saves: autograd's records of some forty small
operations a step, and weight gradients of every step on its own (here one product over all steps). The (B, K, S, A)
hidden layers of additive attention are those of ``additive_scores``: made block by block, and anew in the backward.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from multimodal_attn.models.attention.additive_scores import HiddenGradients, HiddenLayer, last_real
from multimodal_attn.models.windows import add_windows, windows


class LoopWeights(NamedTuple):
    """Parameters of the loop, as the plain modules hold them.

    Attributes:
        recurrent: (4H, D + H) of [context, hidden] to the gates i, f, o, g.
        query: (A, H) of the attention's hidden layer.
        score: (A,) v.
        location: (A, F) of the filtered previous weights to the attention's hidden layer; or None.
        filters: (F, kernel) over the previous weights; or None.
        agent: (reach + 1, D + H) of [context, query] to the shifts of forward attention, and its bias; or None.
        gate: (H,) and its bias (1,) of Show-Attend-Tell's beta; or None.
    """

    recurrent: Tensor
    query: Tensor
    score: Tensor
    location: Tensor | None
    filters: Tensor | None
    agent: Tensor | None
    agent_bias: Tensor | None
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


class LoopOutput(NamedTuple):
    """Of every step; rows that have left the loop are 0.

    Attributes:
        hidden: (T, B, K, H).
        context: (T, B, K, D), gated.
        weights: (T, B, K, S).
    """

    hidden: Tensor
    context: Tensor
    weights: Tensor


class _Kept(NamedTuple):
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


class _Step(NamedTuple):
    """What one step reads and writes of its n sources: views of ``_Kept`` and of the memory."""

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


def _steps(plan: LoopPlan, kept: _Kept, states: Tensor) -> list[_Step]:
    carried = (kept.hiddens, kept.cells, kept.contexts, kept.weights, kept.shifts)
    written = (kept.attended, kept.activations, kept.betas, kept.queries)
    views = [plan.views(tensor[:-1]) for tensor in carried] + [plan.views(tensor[1:]) for tensor in carried]
    views += [plan.views(tensor) for tensor in written] + [plan.still(states)]
    return [_Step(*step) for step in zip(*views, strict=True)]


def run_loop(
    plan: LoopPlan,
    gates: Tensor,
    hidden: Tensor,
    cell: Tensor,
    keys: Tensor,
    states: Tensor,
    mask: Tensor,
    weights: LoopWeights,
    previous: Tensor | None,
) -> LoopOutput:
    """Attends and recurs for all steps; differentiable once in everything but ``mask`` and ``previous``.

    Shapes:
        gates: (T, B, K, 4H) the embedding's part. hidden, cell: (B, K, H) at the start. keys: (B, S, A), doubled as
        ``additive_scores`` wants them. states: (B, S, D). mask: (B, S). previous: the state of attention before the
        first step, if it has one: (B, K, S) weights, and with forward attention (B, K, reach + 1) shifts before them.
    """
    with torch.autocast(gates.device.type, enabled=False):
        return LoopOutput(*_RunLoop.apply(plan, gates, hidden, cell, keys, states, mask, previous, *weights))


class _RunLoop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: LoopPlan,
        gates: Tensor,
        hidden: Tensor,
        cell: Tensor,
        keys: Tensor,
        states: Tensor,
        mask: Tensor,
        previous: Tensor | None,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        lengths, rows, size = last_real(mask), hidden.shape[1], states.shape[1]
        loop = _Loop(plan, keys, LoopWeights(*parameters), lengths, rows)  # type: ignore[arg-type]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        hidden, cell = hidden.to(wide), cell.to(wide)
        width, dim = hidden.shape[-1], states.shape[-1]
        contexts = plan.buffer(hidden, dim, before=1)
        kept = _Kept(
            hiddens=plan.buffer(hidden, width, before=1),
            cells=plan.buffer(hidden, width, before=1),
            contexts=contexts,
            attended=contexts[1:] if loop.gate is None else plan.buffer(hidden, dim),
            activations=plan.buffer(hidden, 4 * width),
            betas=plan.buffer(hidden, 1),
            weights=plan.buffer(hidden, size, before=1),
            queries=plan.buffer(hidden, keys.shape[-1], dtype=loop.layer.keys.dtype),
            shifts=plan.buffer(hidden, 0 if plan.reach is None else plan.reach + 1, before=1),
        )
        kept.hiddens[0], kept.cells[0] = hidden, cell
        if previous is not None:
            shifts, kept.weights[0] = previous.split([kept.shifts.shape[-1], size], dim=-1)
            kept.shifts[:] = shifts  # which an agent changes after every step
        for step, gate, padding in zip(
            _steps(plan, kept, states), plan.views(gates), plan.still(~mask[:, None]), strict=True
        ):
            if plan.attend_before:
                loop.look(step, step.last_hidden, padding)
                loop.recur(step, gate, step.context)
            else:
                loop.recur(step, gate, step.last_context)
                loop.look(step, step.hidden, padding)
        ctx.plan, ctx.lengths, ctx.dtypes = plan, lengths, (gates.dtype, keys.dtype, states.dtype)
        ctx.save_for_backward(keys, states, *kept, *parameters)
        return kept.hiddens[1:], kept.contexts[1:], kept.weights[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        keys, states, *others = ctx.saved_tensors
        kept, parameters = _Kept(*others[: len(_Kept._fields)]), LoopWeights(*others[len(_Kept._fields) :])
        loop = _Loop(ctx.plan, keys, parameters, ctx.lengths, kept.hiddens.shape[2])
        # What holds still, such as the memory of a frozen encoder, wants no gradient.
        return _Gradients(loop, kept, states, grads, wants_states=ctx.needs_input_grad[5]).run(*ctx.dtypes)


class _Loop:
    """One step of attention and of the LSTM, written into its views."""

    def __init__(
        self, plan: LoopPlan, keys: Tensor, weights: LoopWeights, lengths: list[int] | None, rows: int
    ) -> None:
        self.plan = plan
        self.recurrent = weights.recurrent.to(plan.dtype)
        self.query = 2 * weights.query.to(plan.dtype)  # doubled, like the keys
        self.query_inputs_first = self.query.T
        location = None if weights.location is None else 2 * weights.location.T
        self.layer = HiddenLayer(keys, 2 * weights.score, location, lengths, uses=rows * len(plan.active))
        self.filters = None if weights.filters is None else weights.filters.to(self.layer.keys.dtype)
        self.agent, self.agent_bias = weights.agent, weights.agent_bias
        self.gate, self.gate_bias = weights.gate, weights.gate_bias

    @cached_property
    def recurrent_inputs_first(self) -> Tensor:
        """(D + H, 4H), with which narrow products in fp32 are faster; in bf16 they are not."""
        weight = self.recurrent
        if weight.dtype in (torch.bfloat16, torch.float16):
            return weight.T
        turned = weight.new_empty(weight.shape[::-1])
        # In strips: the numbers of a column, a power of two apart, would drive each other out of the cache.
        for outputs, strip in zip(turned.split(64, dim=1), weight.split(64), strict=True):
            outputs.copy_(strip.T)
        return turned

    def taps(self, previous: Tensor) -> Tensor | None:
        """The previous weights around every position, (n, K, S, kernel), if filters look at them."""
        if self.filters is None:
            return None
        kernel = self.filters.shape[1]
        return windows(previous.to(self.filters.dtype), kernel // 2, kernel // 2).contiguous()

    def seen(self, taps: Tensor | None) -> Tensor | None:
        """The filtered previous weights, (n, K, S, F)."""
        return None if taps is None or self.filters is None else taps @ self.filters.T

    def moved(self, previous: Tensor, shifts: Tensor) -> Tensor:
        """The previous weights after the shifts of forward attention, (n, K, S)."""
        return (windows(previous, shifts.shape[-1] - 1, 0) * shifts.flip(-1)[..., None, :]).sum(-1)

    def look(self, step: _Step, hidden: Tensor, padding: Tensor) -> None:
        """Writes the query, the weights, the weighted memory, beta and the gated context.

        Shapes:
            hidden: (n, K, H), which asks. padding: (n, 1, S).
        """
        weights = step.weights
        step.query.copy_(self.layer.ready(hidden.to(self.plan.dtype) @ self.query_inputs_first))
        self.layer.scores(step.query, self.seen(self.taps(step.last_weights)), weights)
        if self.plan.reach is not None:
            moved, tiny = self.moved(step.last_weights, step.last_shifts), torch.finfo(weights.dtype).tiny
            padding = padding | (moved <= tiny)
            weights += moved.clamp_(min=tiny).log_()
        # As masked_softmax, with the mask turned around once.
        weights.masked_fill_(padding, torch.finfo(weights.dtype).min)
        weights.copy_(weights.softmax(-1).masked_fill_(padding, 0.0))
        step.attended.copy_(torch.bmm(weights.to(step.states.dtype), step.states))
        if self.agent is not None:
            known = torch.cat([step.attended, hidden], dim=-1)
            step.shifts.copy_(functional.linear(known, self.agent, self.agent_bias).softmax(-1))
        if self.gate is not None and self.gate_bias is not None:
            step.beta.copy_(torch.sigmoid(hidden @ self.gate + self.gate_bias)[..., None])
            torch.mul(step.attended, step.beta, out=step.context)

    def recur(self, step: _Step, gates: Tensor, context: Tensor) -> None:
        """Writes the activations of the gates and the new state, given the embedding's part of the gates."""
        inputs = torch.cat([context, step.last_hidden], dim=-1).to(self.recurrent.dtype)
        torch.add(inputs @ self.recurrent_inputs_first, gates, out=step.activations)
        input_gate, forget_gate, output_gate, candidate = step.activations.chunk(4, dim=-1)
        step.activations[..., : 3 * candidate.shape[-1]].sigmoid_()
        candidate.tanh_()
        torch.addcmul(forget_gate * step.last_cell, input_gate, candidate, out=step.cell)
        torch.mul(output_gate, step.cell.tanh(), out=step.hidden)


def _through_the_lstm(kept: _Kept) -> tuple[Tensor, Tensor]:
    """What the gradients of the LSTM are multiplied by, for all steps at once.

    Shapes:
        Returns (T, B, K, 4H): of the gates before their sigmoids and tanh, to be multiplied by d_hidden for the output
        gate and by d_cell for the others; and (T, B, K, H): what d_hidden adds to d_cell.
    """
    input_gate, forget_gate, output_gate, candidate = kept.activations.chunk(4, dim=-1)
    squashed = kept.cells[1:].tanh()
    factors = torch.empty_like(kept.activations)
    of_input, of_forget, of_output, of_candidate = factors.chunk(4, dim=-1)
    torch.mul(candidate, input_gate * (1 - input_gate), out=of_input)
    torch.mul(kept.cells[:-1], forget_gate * (1 - forget_gate), out=of_forget)
    torch.mul(squashed, output_gate * (1 - output_gate), out=of_output)
    torch.mul(input_gate, 1 - candidate * candidate, out=of_candidate)
    return factors, output_gate * (1 - squashed * squashed)


class _StepGradients(NamedTuple):
    """Gradients of one step: of what it gave, of what it made, and those on their way back in time."""

    out_hidden: Tensor
    out_context: Tensor
    out_weights: Tensor
    input_and_forget: Tensor
    output: Tensor
    candidate: Tensor
    gates: Tensor
    cell_of_hidden: Tensor
    attended: Tensor
    beta: Tensor
    agent: Tensor
    query: Tensor
    hidden: Tensor
    cell: Tensor
    context: Tensor
    weights: Tensor
    shifts: Tensor


class _Gradients:
    """Runs the loop backwards. ``d_x`` is the gradient of the loss in x."""

    def __init__(self, loop: _Loop, kept: _Kept, states: Tensor, grads: tuple[Tensor, ...], wants_states: bool) -> None:
        self.loop, self.kept, self.wants_states = loop, kept, wants_states
        plan, start = loop.plan, kept.hiddens[0]
        self.d_gates, d_cell_of_hidden = _through_the_lstm(kept)
        self.d_attended = plan.buffer(start, states.shape[-1])
        self.d_beta = plan.buffer(start, 1)
        self.d_agent = plan.buffer(start, kept.shifts.shape[-1])  # before their softmax
        self.d_queries = plan.buffer(start, kept.queries.shape[-1], dtype=kept.queries.dtype)  # without the factor 2 v
        # What one step leaves for the step before it.
        carried = [torch.zeros_like(x[0]) for x in (kept.hiddens, kept.cells, kept.contexts, kept.weights, kept.shifts)]
        self.d_hidden, self.d_cell = carried[:2]
        four = self.d_gates.unflatten(-1, (4, -1))
        each = (*grads, four[..., :2, :], four[..., 2, :], four[..., 3, :], self.d_gates, d_cell_of_hidden)
        each += (self.d_attended, self.d_beta, self.d_agent, self.d_queries)
        views = [plan.views(tensor) for tensor in each] + [plan.still(tensor) for tensor in carried]
        self.gradients = [_StepGradients(*step) for step in zip(*views, strict=True)]
        self.steps = _steps(plan, kept, states)
        self.layer = HiddenGradients(loop.layer)
        self.query = (loop.layer.score[:, None] * loop.query).to(loop.query.dtype)
        if loop.filters is not None:
            self.d_filters = torch.zeros_like(loop.filters)

    def run(self, *dtypes: torch.dtype) -> tuple[Tensor | None, ...]:
        for step, d in zip(reversed(self.steps), reversed(self.gradients), strict=True):
            d.hidden.add_(d.out_hidden)
            if self.loop.plan.attend_before:
                torch.add(d.out_context, self._recur(step, d), out=d.context)
                self._look(step, d)
            else:
                d.context.add_(d.out_context)
                self._look(step, d)
                d.context.copy_(self._recur(step, d))
        return self._collect(*dtypes)

    def _recur(self, step: _Step, d: _StepGradients) -> Tensor:
        """Through the LSTM; leaves d_hidden and d_cell of the step before and returns that of its context."""
        d_cell = torch.addcmul(d.cell, d.hidden, d.cell_of_hidden)
        d.input_and_forget.mul_(d_cell[..., None, :])
        d.output.mul_(d.hidden)
        d.candidate.mul_(d_cell)
        width = d_cell.shape[-1]
        torch.mul(d_cell, step.activations[..., width : 2 * width], out=d.cell)
        recurrent = self.loop.recurrent
        d_inputs = d.gates.to(recurrent.dtype) @ recurrent
        d_context, d_hidden = d_inputs.split([d.context.shape[-1], width], dim=-1)
        d.hidden.copy_(d_hidden)
        return d_context

    def _look(self, step: _Step, d: _StepGradients) -> None:
        """Through the attention; adds to d_hidden of its query and to d_weights of the step before."""
        loop, weights = self.loop, step.weights
        d_attended = d.context
        if loop.gate is not None:
            beta = step.beta
            d_beta = (d_attended * step.attended).sum(-1, keepdim=True) * beta * (1 - beta)
            d.beta.copy_(d_beta)
            d.hidden.addcmul_(d_beta, loop.gate)
            d_attended = d_attended * beta
        if loop.agent is not None:
            d_agent = torch.ops.aten._softmax_backward_data(d.shifts, step.shifts, -1, d.shifts.dtype)
            d.agent.copy_(d_agent)
            d_known, d_query = (d_agent @ loop.agent).split([d_attended.shape[-1], d.hidden.shape[-1]], dim=-1)
            d.hidden.add_(d_query)
            d_attended = d_attended + d_known
        d.attended.copy_(d_attended)
        d_weights = torch.bmm(d_attended.to(step.states.dtype), step.states.transpose(1, 2)).to(weights.dtype)
        d_weights.add_(d.out_weights).add_(d.weights)
        d_scores = torch.ops.aten._softmax_backward_data(d_weights, weights, -1, weights.dtype)

        taps = loop.taps(step.last_weights)
        d_seen = self.layer.add(step.query, loop.seen(taps), d_scores.to(d.query.dtype), d.query)
        d.hidden.add_(d.query.to(loop.plan.dtype) @ self.query)
        if loop.filters is not None and taps is not None and d_seen is not None:
            self.d_filters += d_seen.flatten(0, 2).T @ taps.flatten(0, 2)
            d.weights.copy_(add_windows(d_seen @ loop.filters, loop.filters.shape[1] // 2))
        if loop.plan.reach is not None:
            moved = loop.moved(step.last_weights, step.last_shifts)
            d_moved = (d_scores / moved).masked_fill(moved <= torch.finfo(moved.dtype).tiny, 0.0)
            before = windows(step.last_weights, loop.plan.reach, 0)
            d.shifts.copy_((d_moved[..., None] * before).sum(-2).flip(-1))
            # What a position gives to those up to ``reach`` behind it.
            behind = windows(d_moved, 0, loop.plan.reach)
            d.weights.copy_((behind * step.last_shifts[..., None, :]).sum(-1))

    def _collect(self, gates: torch.dtype, keys: torch.dtype, states: torch.dtype) -> tuple[Tensor | None, ...]:
        """What is summed over steps, as one product each."""
        loop, before, dtype = self.loop, self.loop.plan.attend_before, self.loop.plan.dtype

        def product(left: Tensor, right: Tensor) -> Tensor:
            """(steps * rows, M) and (steps * rows, N) to (M, N)."""
            return (left.flatten(0, -2).to(dtype).T @ right.flatten(0, -2).to(dtype)).to(left.dtype)

        contexts = self.kept.contexts[1:] if before else self.kept.contexts[:-1]
        queries = self.kept.hiddens[:-1] if before else self.kept.hiddens[1:]
        d_recurrent = product(self.d_gates, torch.cat([contexts, self.kept.hiddens[:-1]], dim=-1))
        d_keys, d_score, d_location = self.layer.whole()
        d_query = 2 * loop.layer.score[:, None] * product(self.d_queries, queries)
        d_states = d_agent = d_agent_bias = d_gate = d_gate_bias = None
        if loop.agent is not None:
            d_agent = product(self.d_agent, torch.cat([self.kept.attended, queries], dim=-1))
            d_agent_bias = self.d_agent.sum((0, 1, 2))
        if self.wants_states:
            rows_together = (1, 2, 0, 3)  # (B, K, T, ...)
            d_states = torch.bmm(
                self.kept.weights[1:].permute(rows_together).flatten(1, 2).to(dtype).transpose(1, 2),
                self.d_attended.permute(rows_together).flatten(1, 2).to(dtype),
            ).to(states)
        if loop.gate is not None:
            d_gate = product(self.d_beta, queries)[0]
            d_gate_bias = self.d_beta.sum().view(1)
        return (
            None,
            self.d_gates.to(gates),
            self.d_hidden,
            self.d_cell,
            d_keys.to(keys),
            d_states,
            None,
            None,
            d_recurrent,
            d_query,
            2 * d_score,
            None if d_location is None else 2 * d_location.T,
            None if loop.filters is None else self.d_filters,
            d_agent,
            d_agent_bias,
            d_gate,
            d_gate_bias,
        )
