"""The time loop of ``RecurrentDecoder`` with a backward written by hand: the same values and gradients in less time.

``RecurrentDecoder.forward`` is the definition. This form covers one LSTM layer with additive, location-aware or forward
attention; every other combination takes the plain loop. What it saves: autograd's records of some forty small
operations a step, and weight gradients of every step on its own (here one product over all steps). The (B, K, S, A)
hidden layers of additive attention are those of ``additive_scores``: made block by block, and anew in the backward.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from multimodal_attn.masking import masked_softmax
from multimodal_attn.models.attention.additive_scores import HiddenGradients, HiddenLayer, last_real
from multimodal_attn.models.decoders.windows import add_windows, windows


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

    def buffer(self, sources: Tensor, width: int, before: int = 0) -> Tensor:
        """(before + T, B, K, width) for what the steps write; 0 for sources that have left the loop.

        Shapes:
            sources: (B, K, anything), of the same kind.
        """
        made = sources.new_empty(before + len(self.active), *sources.shape[:2], width)
        made[:before] = 0.0
        for t, n in enumerate(self.active):
            if n < len(sources):
                made[before + t, n:] = 0.0
        return made


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
    """What the backward needs of the T steps. Where there are T + 1, index t + 1 is after step t, index 0 the start.

    Attributes:
        hiddens, cells: (T + 1, B, K, H).
        contexts: (T + 1, B, K, D), gated; attended (T, B, K, D), not.
        activations: (T, B, K, 4H) of the gates.
        betas: (T, B, K, 1).
        weights: (T + 1, B, K, S).
        queries: (T, B, K, A), doubled.
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
        return LoopOutput(*_Loop.apply(plan, gates, hidden, cell, keys, states, mask, previous, *weights))


class _Loop(torch.autograd.Function):
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
        lengths = last_real(mask)
        loop = _Steps(plan, keys, states, LoopWeights(*parameters), lengths, hidden.shape[1])  # type: ignore[arg-type]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        hidden, cell = hidden.to(wide), cell.to(wide)
        width, size, dim = hidden.shape[-1], states.shape[1], states.shape[2]
        kept = _Kept(
            hiddens=plan.buffer(hidden, width, before=1),
            cells=plan.buffer(hidden, width, before=1),
            contexts=plan.buffer(hidden, dim, before=1),
            attended=plan.buffer(hidden, dim),
            activations=plan.buffer(hidden, 4 * width),
            betas=plan.buffer(hidden, 1),
            weights=plan.buffer(hidden, size, before=1),
            queries=plan.buffer(hidden, keys.shape[-1]),
            shifts=plan.buffer(hidden, 0 if plan.reach is None else plan.reach + 1, before=1),
        )
        kept.hiddens[0], kept.cells[0] = hidden, cell
        if previous is not None:
            shifts, kept.weights[0] = previous.split([kept.shifts.shape[-1], size], dim=-1)
            kept.shifts[:] = shifts  # which an agent changes after every step
        for t, n in enumerate(plan.active):
            if n == 0:
                break
            if plan.attend_before:
                loop.look(t, n, mask, kept.hiddens[t], kept)
                loop.recur(t, n, gates[t], kept.contexts[t + 1], kept)
            else:
                loop.recur(t, n, gates[t], kept.contexts[t], kept)
                loop.look(t, n, mask, kept.hiddens[t + 1], kept)
        ctx.plan, ctx.lengths, ctx.dtypes = plan, lengths, (gates.dtype, keys.dtype, states.dtype)
        ctx.save_for_backward(keys, states, *kept, *parameters)
        return kept.hiddens[1:], kept.contexts[1:], kept.weights[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        keys, states, *others = ctx.saved_tensors
        kept, parameters = _Kept(*others[: len(_Kept._fields)]), LoopWeights(*others[len(_Kept._fields) :])
        loop = _Steps(ctx.plan, keys, states, parameters, ctx.lengths, kept.hiddens.shape[2])
        # What holds still, such as the memory of a frozen encoder, wants no gradient.
        return _Gradients(loop, kept, grads, wants_states=ctx.needs_input_grad[5]).run(*ctx.dtypes)


class _Steps:
    """One step of attention and of the LSTM, on buffers."""

    def __init__(
        self, plan: LoopPlan, keys: Tensor, states: Tensor, weights: LoopWeights, lengths: list[int] | None, rows: int
    ) -> None:
        self.plan, self.states = plan, states
        self.recurrent = weights.recurrent.to(plan.dtype)
        self.query = 2 * weights.query.to(plan.dtype)  # doubled, like the keys
        location = None if weights.location is None else 2 * weights.location.T
        self.layer = HiddenLayer(keys, 2 * weights.score, location, lengths, uses=rows * len(plan.active))
        self.filters = None if weights.filters is None else weights.filters.to(self.layer.keys.dtype)
        self.agent, self.agent_bias = weights.agent, weights.agent_bias
        self.gate, self.gate_bias = weights.gate, weights.gate_bias

    @cached_property
    def recurrent_inputs_first(self) -> Tensor:
        """(D + H, 4H), as narrow products in fp32 are fastest; in bf16 there is no difference, and this takes its time."""
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
        return torch.matmul(windows(previous, shifts.shape[-1] - 1, 0), shifts.flip(-1)[..., None])[..., 0]

    def look(self, t: int, n: int, mask: Tensor, hidden: Tensor, kept: _Kept) -> None:
        """Writes the query, the weights, the weighted memory, beta and the gated context of step t, first n sources."""
        query, weights = kept.queries[t, :n], kept.weights[t + 1, :n]
        query.copy_(hidden[:n].to(self.plan.dtype) @ self.query.T)
        self.layer.scores(query, self.seen(self.taps(kept.weights[t, :n])), weights)
        real = mask[:n, None]
        if self.plan.reach is not None:
            moved, tiny = self.moved(kept.weights[t, :n], kept.shifts[t, :n]), torch.finfo(weights.dtype).tiny
            real = real & (moved > tiny)
            weights += moved.clamp_(min=tiny).log_()
        weights.copy_(masked_softmax(weights, real))
        kept.attended[t, :n] = torch.bmm(weights.to(self.states.dtype), self.states[:n])
        if self.agent is not None:
            known = torch.cat([kept.attended[t, :n], hidden[:n]], dim=-1)
            kept.shifts[t + 1, :n] = functional.linear(known, self.agent, self.agent_bias).softmax(-1)
        if self.gate is None or self.gate_bias is None:
            kept.contexts[t + 1, :n] = kept.attended[t, :n]
        else:
            kept.betas[t, :n] = torch.sigmoid(hidden[:n] @ self.gate + self.gate_bias)[..., None]
            torch.mul(kept.attended[t, :n], kept.betas[t, :n], out=kept.contexts[t + 1, :n])

    def recur(self, t: int, n: int, gates: Tensor, context: Tensor, kept: _Kept) -> None:
        """Writes the activations of the gates and the state after step t of the first n sources."""
        inputs = torch.cat([context[:n], kept.hiddens[t, :n]], dim=-1).to(self.recurrent.dtype)
        activation, width = kept.activations[t, :n], kept.hiddens.shape[-1]
        torch.add(inputs @ self.recurrent_inputs_first, gates[:n], out=activation)
        activation[..., : 3 * width].sigmoid_()
        activation[..., 3 * width :].tanh_()
        input_gate, forget_gate, output_gate, candidate = activation.chunk(4, dim=-1)
        cell = kept.cells[t + 1, :n]
        torch.addcmul(forget_gate * kept.cells[t, :n], input_gate, candidate, out=cell)
        torch.mul(output_gate, cell.tanh(), out=kept.hiddens[t + 1, :n])


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


class _Gradients:
    """Runs the loop backwards. ``d_x`` is the gradient of the loss in x."""

    def __init__(self, loop: _Steps, kept: _Kept, grads: tuple[Tensor, ...], wants_states: bool) -> None:
        self.loop, self.kept, self.wants_states = loop, kept, wants_states
        self.out_hidden, self.out_context, self.out_weights = grads
        self.d_hidden, self.d_cell = torch.zeros_like(kept.hiddens[0]), torch.zeros_like(kept.cells[0])
        self.d_context = torch.zeros_like(kept.contexts[0])
        self.d_weights = torch.zeros_like(kept.weights[0])  # from the next step, which reads them
        self.d_shifts = torch.zeros_like(kept.shifts[0])  # from the next step as well
        self.d_agent = torch.zeros_like(kept.shifts[1:])  # before their softmax
        self.d_gates, self.d_cell_of_hidden = _through_the_lstm(kept)
        self.d_attended = torch.zeros_like(kept.attended)
        self.d_beta = torch.zeros_like(kept.betas)
        self.d_queries = torch.zeros_like(kept.queries)  # without the factor 2 v
        self.layer = HiddenGradients(loop.layer)
        self.query = (loop.layer.score[:, None] * loop.query).to(loop.query.dtype)
        if loop.filters is not None:
            self.d_filters = torch.zeros_like(loop.filters)

    def run(self, *dtypes: torch.dtype) -> tuple[Tensor | None, ...]:
        before = self.loop.plan.attend_before
        for t, n in reversed(list(enumerate(self.loop.plan.active))):
            if n == 0:
                continue
            self.d_hidden[:n] += self.out_hidden[t, :n]
            if before:
                self.d_context[:n] = self._recur(t, n) + self.out_context[t, :n]
                self._look(t, n)
            else:
                self.d_context[:n] += self.out_context[t, :n]
                self._look(t, n)
                self.d_context[:n] = self._recur(t, n)
        return self._collect(*dtypes)

    def _recur(self, t: int, n: int) -> Tensor:
        """Through the LSTM of step t; leaves d_hidden and d_cell of the step before and returns that of its context."""
        d_hidden, d_gates = self.d_hidden[:n], self.d_gates[t, :n]
        d_cell = torch.addcmul(self.d_cell[:n], d_hidden, self.d_cell_of_hidden[t, :n])
        width = d_cell.shape[-1]
        d_input, d_forget, d_output, d_candidate = d_gates.chunk(4, dim=-1)
        d_input *= d_cell
        d_forget *= d_cell
        d_output *= d_hidden
        d_candidate *= d_cell
        forget_gate = self.kept.activations[t, :n, :, width : 2 * width]
        torch.mul(d_cell, forget_gate, out=self.d_cell[:n])
        recurrent = self.loop.recurrent
        d_inputs = (d_gates.to(recurrent.dtype) @ recurrent).to(self.d_hidden.dtype)
        d_context, d_previous = d_inputs.split([self.kept.contexts.shape[-1], self.kept.hiddens.shape[-1]], dim=-1)
        self.d_hidden[:n] = d_previous
        return d_context

    def _look(self, t: int, n: int) -> None:
        """Through the attention of step t; adds to d_hidden of its query and to d_weights of the step before."""
        loop, weights, dtype = self.loop, self.kept.weights[t + 1, :n], self.loop.plan.dtype
        d_attended = self.d_context[:n]
        if loop.gate is not None:
            beta = self.kept.betas[t, :n]
            d_beta = (d_attended * self.kept.attended[t, :n]).sum(-1, keepdim=True) * beta * (1 - beta)
            self.d_beta[t, :n] = d_beta
            self.d_hidden[:n] += d_beta * loop.gate
            d_attended = d_attended * beta
        if loop.agent is not None:
            shifts, d_shifts = self.kept.shifts[t + 1, :n], self.d_shifts[:n]
            self.d_agent[t, :n] = d_agent = shifts * (d_shifts - (shifts * d_shifts).sum(-1, keepdim=True))
            d_known, d_query = (d_agent @ loop.agent).split([d_attended.shape[-1], self.d_hidden.shape[-1]], dim=-1)
            self.d_hidden[:n] += d_query
            d_attended = d_attended + d_known
        self.d_attended[t, :n] = d_attended
        d_weights = torch.bmm(d_attended.to(loop.states.dtype), loop.states[:n].transpose(1, 2)).to(weights.dtype)
        d_weights += self.out_weights[t, :n]
        d_weights += self.d_weights[:n]
        d_scores = weights * (d_weights - (weights * d_weights).sum(-1, keepdim=True))

        taps = loop.taps(self.kept.weights[t, :n])
        d_queries, d_seen = self.layer.add(self.kept.queries[t, :n], loop.seen(taps), d_scores)
        self.d_queries[t, :n] = d_queries
        self.d_hidden[:n] += (d_queries.to(dtype) @ self.query).to(self.d_hidden.dtype)
        if loop.filters is not None and taps is not None and d_seen is not None:
            self.d_filters += d_seen.flatten(0, 2).T @ taps.flatten(0, 2)
            self.d_weights[:n] = add_windows(d_seen @ loop.filters, loop.filters.shape[1] // 2)
        if loop.plan.reach is not None:
            previous, shifts = self.kept.weights[t, :n], self.kept.shifts[t, :n]
            moved = loop.moved(previous, shifts)
            d_moved = (d_scores / moved).masked_fill(moved <= torch.finfo(moved.dtype).tiny, 0.0)
            before = windows(previous, loop.plan.reach, 0)
            self.d_shifts[:n] = torch.matmul(d_moved[..., None, :], before)[..., 0, :].flip(-1)
            # What a position gives to those up to ``reach`` behind it.
            self.d_weights[:n] = torch.matmul(windows(d_moved, 0, loop.plan.reach), shifts[..., None])[..., 0]

    def _collect(self, gates: torch.dtype, keys: torch.dtype, states: torch.dtype) -> tuple[Tensor | None, ...]:
        """What is summed over steps, as one product each."""
        loop, before = self.loop, self.loop.plan.attend_before
        dtype = loop.plan.dtype

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
