"""The loop backwards: the chain rule of every step, and what is summed over steps as one product each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.kernels.additive_scores import HiddenGradients
from multimodal_attn.models.kernels.fast_loop.loop import Loop
from multimodal_attn.models.kernels.fast_loop.plan import Kept, Step, views_of_steps
from multimodal_attn.models.kernels.windows import add_windows, windows


def _through_the_lstm(kept: Kept) -> tuple[Tensor, Tensor]:
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


class Gradients:
    """Runs the loop backwards. ``d_x`` is the gradient of the loss in x."""

    def __init__(self, loop: Loop, kept: Kept, states: Tensor, grads: tuple[Tensor, ...], wants_states: bool) -> None:
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
        self.steps = views_of_steps(plan, kept, states)
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

    def _recur(self, step: Step, d: _StepGradients) -> Tensor:
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

    def _look(self, step: Step, d: _StepGradients) -> None:
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
            d_query,
            d_score,
            d_location,
            None if loop.filters is None else self.d_filters,
            d_agent,
            d_agent_bias,
            d_recurrent,
            d_gate,
            d_gate_bias,
        )
