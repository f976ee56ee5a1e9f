"""The time loop of ``RecurrentDecoder`` with a backward written by hand: the same values and gradients in less time.

``RecurrentDecoder.forward`` is the definition. This form covers one LSTM layer with additive or location-aware
attention; every other combination takes the plain loop. What it saves: autograd's records of some forty small
operations a step, and weight gradients of every step on its own (here one product over all steps). The (B, K, S, A)
hidden layers of additive attention are made block by block, while they fit into the cache, and anew in the backward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from multimodal_attn.masking import masked_softmax

_BLOCK = 2**18
"""Numbers of the attention's hidden layer that are made at a time on a CPU: what its second-level cache holds."""


class LoopWeights(NamedTuple):
    """Parameters of the loop, as the plain modules hold them.

    Attributes:
        recurrent: (4H, D + H) of [context, hidden] to the gates i, f, o, g.
        query: (A, H) of the attention's hidden layer.
        score: (A,) v.
        location: (A, F) of the filtered previous weights to the attention's hidden layer; or None.
        filters: (F, kernel) over the previous weights; or None.
        gate: (H,) and its bias (1,) of Show-Attend-Tell's beta; or None.
    """

    recurrent: Tensor
    query: Tensor
    score: Tensor
    location: Tensor | None
    filters: Tensor | None
    gate: Tensor | None
    gate_bias: Tensor | None


@dataclass(frozen=True)
class LoopPlan:
    """What the loop does without tensors.

    Attributes:
        attend_before: attention before the LSTM (Xu et al. 2015) or after it (Chan et al. 2016).
        active: sources still in the loop at each step, never growing.
        dtype: of the products and of the attention's hidden layer; everything else is float32 or wider.
    """

    attend_before: bool
    active: list[int]
    dtype: torch.dtype


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
        ``additive_scores`` wants them. states: (B, S, D). mask: (B, S). previous: (B, K, S) weights before the first
        step, for location-aware attention.
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
        loop = _Steps(plan, keys, states, LoopWeights(*parameters))  # type: ignore[arg-type]
        steps, (batch, rows, width) = len(plan.active), hidden.shape
        wide = torch.promote_types(hidden.dtype, torch.float32)
        hidden, cell = hidden.to(wide), cell.to(wide)
        # Index t + 1 is after step t, index 0 the start.
        hiddens = hidden.new_zeros(steps + 1, batch, rows, width)
        cells = torch.zeros_like(hiddens)
        contexts = hidden.new_zeros(steps + 1, batch, rows, states.shape[-1])
        attended = torch.zeros_like(contexts[1:])
        activations = hidden.new_zeros(steps, batch, rows, 4 * width)
        betas = hidden.new_zeros(steps, batch, rows, 1)
        weights = hidden.new_zeros(steps + 1, batch, rows, states.shape[1])
        hiddens[0], cells[0] = hidden, cell
        if previous is not None:
            weights[0] = previous
        for t, n in enumerate(plan.active):
            if n == 0:
                break
            if plan.attend_before:
                loop.look(n, hiddens[t], mask, weights[t], weights[t + 1], attended[t], betas[t], contexts[t + 1])
                loop.recur(
                    n, gates[t], contexts[t + 1], hiddens[t], cells[t], activations[t], hiddens[t + 1], cells[t + 1]
                )
            else:
                loop.recur(n, gates[t], contexts[t], hiddens[t], cells[t], activations[t], hiddens[t + 1], cells[t + 1])
                loop.look(n, hiddens[t + 1], mask, weights[t], weights[t + 1], attended[t], betas[t], contexts[t + 1])
        ctx.plan, ctx.dtypes = plan, (gates.dtype, keys.dtype, states.dtype)
        ctx.save_for_backward(
            keys, states, hiddens, cells, contexts, attended, activations, betas, weights, *parameters
        )
        return hiddens[1:], contexts[1:], weights[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        keys, states, hiddens, cells, contexts, attended, activations, betas, weights, *parameters = ctx.saved_tensors
        plan: LoopPlan = ctx.plan
        loop = _Steps(plan, keys, states, LoopWeights(*parameters))
        gradient = _Gradients(loop, hiddens, cells, contexts, attended, activations, betas, weights, grads)
        return gradient.run(*ctx.dtypes)


class _Steps:
    """One step of attention and of the LSTM, on buffers."""

    def __init__(self, plan: LoopPlan, keys: Tensor, states: Tensor, weights: LoopWeights) -> None:
        dtype = plan.dtype
        self.plan = plan
        self.keys, self.states = keys.to(dtype), states.to(dtype)
        self.recurrent = weights.recurrent.to(dtype)
        self.query = 2 * weights.query.to(dtype)  # doubled, like the keys
        self.score = 2 * weights.score.to(dtype)
        # (F, A): with so few filters, products are two to four times faster with their long axis last.
        self.location = None if weights.location is None else 2 * weights.location.T.to(dtype).contiguous()
        self.filters = None if weights.filters is None else weights.filters.to(dtype)
        self.gate, self.gate_bias = weights.gate, weights.gate_bias

    def taps(self, previous: Tensor) -> Tensor:
        """The previous weights around every position, (n, K, S, kernel)."""
        assert self.filters is not None
        kernel = self.filters.shape[1]
        padded = functional.pad(previous.to(self.plan.dtype), (kernel // 2, kernel // 2))
        return padded.unfold(-1, kernel, 1).contiguous()

    def blocks(self, n: int, rows: int) -> list[slice]:
        """Ranges of sources whose hidden layer fits into a CPU's cache; a GPU takes all at once."""
        per_source = rows * self.keys.shape[1] * self.keys.shape[2]
        size = n if self.keys.is_cuda else max(1, _BLOCK // per_source)
        return [slice(first, min(first + size, n)) for first in range(0, n, size)]

    def hidden_layer(self, block: slice, queries: Tensor, seen: Tensor | None) -> Tensor:
        """``sigmoid(2 (keys + queries + located))`` of some sources, (n, K, S, A): see ``additive_scores``."""
        keys, queries = self.keys[block, None], queries[block, :, None]
        if self.location is None or seen is None:
            return (keys + queries).sigmoid_()
        return (seen @ self.location).add_(keys).add_(queries).sigmoid_()

    def project(self, query: Tensor) -> Tensor:
        """The queries in the attention's hidden layer, (n, K, A)."""
        return functional.linear(query.to(self.plan.dtype), self.query)

    def look(
        self,
        n: int,
        query: Tensor,
        mask: Tensor,
        previous: Tensor,
        weights: Tensor,
        attended: Tensor,
        beta: Tensor,
        context: Tensor,
    ) -> None:
        """Writes the weights, the weighted memory, beta and the gated context of the first n sources."""
        queries = self.project(query[:n])
        for block in self.blocks(n, query.shape[1]):
            seen = None if self.filters is None else functional.linear(self.taps(previous[block]), self.filters)
            weights[block] = self.hidden_layer(block, queries, seen) @ self.score
        weights[:n] = masked_softmax(weights[:n], mask[:n, None])
        attended[:n] = torch.bmm(weights[:n].to(self.states.dtype), self.states[:n])
        if self.gate is None or self.gate_bias is None:
            context[:n] = attended[:n]
        else:
            beta[:n] = torch.sigmoid(query[:n] @ self.gate + self.gate_bias)[..., None]
            torch.mul(attended[:n], beta[:n], out=context[:n])

    def recur(
        self,
        n: int,
        gates: Tensor,
        context: Tensor,
        hidden: Tensor,
        cell: Tensor,
        activations: Tensor,
        new_hidden: Tensor,
        new_cell: Tensor,
    ) -> None:
        """Writes the activations of the gates and the new state of the first n sources."""
        inputs = torch.cat([context[:n], hidden[:n]], dim=-1).to(self.recurrent.dtype)
        activation = activations[:n]
        torch.add(functional.linear(inputs, self.recurrent), gates[:n], out=activation)
        width = hidden.shape[-1]
        activation[..., : 3 * width].sigmoid_()
        activation[..., 3 * width :].tanh_()
        input_gate, forget_gate, output_gate, candidate = activation.chunk(4, dim=-1)
        torch.addcmul(forget_gate * cell[:n], input_gate, candidate, out=new_cell[:n])
        torch.mul(output_gate, new_cell[:n].tanh(), out=new_hidden[:n])


class _Gradients:
    """Runs the loop backwards. ``d_x`` is the gradient of the loss in x."""

    def __init__(
        self,
        loop: _Steps,
        hiddens: Tensor,
        cells: Tensor,
        contexts: Tensor,
        attended: Tensor,
        activations: Tensor,
        betas: Tensor,
        weights: Tensor,
        grads: tuple[Tensor, ...],
    ) -> None:
        self.loop, self.hiddens, self.cells, self.contexts = loop, hiddens, cells, contexts
        self.attended, self.activations, self.betas, self.weights = attended, activations, betas, weights
        self.out_hidden, self.out_context, self.out_weights = grads
        self.d_hidden, self.d_cell = torch.zeros_like(hiddens[0]), torch.zeros_like(cells[0])
        self.d_context = torch.zeros_like(contexts[0])
        self.d_weights = torch.zeros_like(weights[0])  # from the next step, which reads them as its location
        self.d_gates = torch.zeros_like(activations)
        self.d_attended, self.d_beta = torch.zeros_like(attended), torch.zeros_like(betas)
        steps, batch, rows = attended.shape[:3]
        self.d_queries = hiddens.new_zeros(steps, batch, rows, len(loop.score))  # of the doubled queries, without v
        self.d_keys = hiddens.new_zeros(loop.keys.shape)  # likewise
        self.d_score = hiddens.new_zeros(len(loop.score))
        if loop.location is not None and loop.filters is not None:
            self.d_location = hiddens.new_zeros(loop.location.shape)  # likewise
            self.d_filters = hiddens.new_zeros(loop.filters.shape)
            self.located_score = (loop.location * loop.score).T.contiguous()  # (A, F)

    def run(self, *dtypes: torch.dtype) -> tuple[Tensor | None, ...]:
        before = self.loop.plan.attend_before
        for t, n in reversed(list(enumerate(self.loop.plan.active))):
            if n == 0:
                continue
            self.d_hidden[:n] += self.out_hidden[t, :n]
            if before:
                self.d_context[:n] = self._recur(t, n) + self.out_context[t, :n]
                self._look(t, n, self.hiddens[t], self.weights[t])
            else:
                self.d_context[:n] += self.out_context[t, :n]
                self._look(t, n, self.hiddens[t + 1], self.weights[t])
                self.d_context[:n] = self._recur(t, n)
        return self._collect(*dtypes)

    def _recur(self, t: int, n: int) -> Tensor:
        """Through the LSTM of step t; leaves d_hidden and d_cell of the step before and returns that of its context."""
        input_gate, forget_gate, output_gate, candidate = self.activations[t, :n].chunk(4, dim=-1)
        d_input, d_forget, d_output, d_candidate = self.d_gates[t, :n].chunk(4, dim=-1)
        squashed = self.cells[t + 1, :n].tanh()
        d_hidden = self.d_hidden[:n]
        d_cell = torch.addcmul(self.d_cell[:n], d_hidden * output_gate, 1 - squashed * squashed)
        torch.mul(d_hidden * squashed, output_gate * (1 - output_gate), out=d_output)
        torch.mul(d_cell * candidate, input_gate * (1 - input_gate), out=d_input)
        torch.mul(d_cell * self.cells[t, :n], forget_gate * (1 - forget_gate), out=d_forget)
        torch.mul(d_cell * input_gate, 1 - candidate * candidate, out=d_candidate)
        torch.mul(d_cell, forget_gate, out=self.d_cell[:n])
        d_inputs = (self.d_gates[t, :n].to(self.loop.recurrent.dtype) @ self.loop.recurrent).to(self.d_hidden.dtype)
        d_context, d_previous = d_inputs.split([self.contexts.shape[-1], self.hiddens.shape[-1]], dim=-1)
        self.d_hidden[:n] = d_previous
        return d_context

    def _look(self, t: int, n: int, query: Tensor, previous: Tensor) -> None:
        """Through the attention of step t; adds to d_hidden of its query and to d_weights of the step before."""
        loop, weights, dtype = self.loop, self.weights[t + 1, :n], self.loop.plan.dtype
        d_attended = self.d_context[:n]
        if loop.gate is not None:
            beta = self.betas[t, :n]
            d_beta = (d_attended * self.attended[t, :n]).sum(-1, keepdim=True) * beta * (1 - beta)
            self.d_beta[t, :n] = d_beta
            self.d_hidden[:n] += d_beta * loop.gate
            d_attended = d_attended * beta
        self.d_attended[t, :n] = d_attended
        d_weights = torch.bmm(d_attended.to(dtype), loop.states[:n].transpose(1, 2)).to(weights.dtype)
        d_weights += self.out_weights[t, :n]
        if loop.location is not None:
            d_weights += self.d_weights[:n]
        d_scores = (weights * (d_weights - (weights * d_weights).sum(-1, keepdim=True))).to(dtype)

        queries = loop.project(query[:n])
        for block in loop.blocks(n, query.shape[1]):
            taps = seen = None
            if loop.filters is not None:
                taps = loop.taps(previous[block])
                seen = functional.linear(taps, loop.filters)  # (n, K, S, F)
            hidden_layer = loop.hidden_layer(block, queries, seen)
            rows = d_scores[block].flatten(0, 1)[:, None]  # (n K, 1, S)
            self.d_score += torch.bmm(rows, hidden_layer.flatten(0, 1)).sum((0, 1))
            # d_scores sigmoid' of every position and unit; the factor v is left to the end.
            slope = torch.addcmul(hidden_layer, hidden_layer, hidden_layer, value=-1)
            if loop.location is None:
                self.d_queries[t, block] = torch.bmm(rows, slope.flatten(0, 1)).view(-1, *queries.shape[1:])
            slope *= d_scores[block, ..., None]
            self.d_keys[block] += slope[:, 0] if slope.shape[1] == 1 else slope.sum(1)
            if loop.filters is not None and taps is not None and seen is not None:
                self.d_queries[t, block] = slope.sum(2)
                d_seen = slope @ self.located_score
                self.d_location += seen.flatten(0, 2).T @ slope.flatten(0, 2)
                self.d_filters += d_seen.flatten(0, 2).T @ taps.flatten(0, 2)
                self.d_weights[block] = _overlap_add(d_seen @ loop.filters)
        d_queries = self.d_queries[t, :n].to(dtype) * loop.score
        self.d_hidden[:n] += (d_queries @ loop.query).to(self.d_hidden.dtype)

    def _collect(self, gates: torch.dtype, keys: torch.dtype, states: torch.dtype) -> tuple[Tensor | None, ...]:
        """What is summed over steps, as one product each."""
        loop, before = self.loop, self.loop.plan.attend_before
        dtype = loop.plan.dtype

        def product(left: Tensor, right: Tensor) -> Tensor:
            """(steps * rows, M) and (steps * rows, N) to (M, N)."""
            return (left.flatten(0, -2).to(dtype).T @ right.flatten(0, -2).to(dtype)).to(left.dtype)

        contexts = self.contexts[1:] if before else self.contexts[:-1]
        queries = self.hiddens[:-1] if before else self.hiddens[1:]
        d_recurrent = product(self.d_gates, torch.cat([contexts, self.hiddens[:-1]], dim=-1))
        score = loop.score.to(self.d_keys.dtype)
        d_query = 2 * score[:, None] * product(self.d_queries, queries)
        steps_last = (1, 2, 0, 3)  # (B, K, T, ...)
        d_states = torch.bmm(
            self.weights[1:].permute(steps_last).flatten(1, 2).to(dtype).transpose(1, 2),
            self.d_attended.permute(steps_last).flatten(1, 2).to(dtype),
        )
        d_gate = d_gate_bias = None
        if loop.gate is not None:
            d_gate = product(self.d_beta, queries)[0]
            d_gate_bias = self.d_beta.sum().view(1)
        return (
            None,
            self.d_gates.to(gates),
            self.d_hidden,
            self.d_cell,
            (self.d_keys * score).to(keys),
            d_states.to(states),
            None,
            None,
            d_recurrent,
            d_query,
            2 * self.d_score,
            None if loop.location is None else 2 * (self.d_location * score).T,
            None if loop.filters is None else self.d_filters,
            d_gate,
            d_gate_bias,
        )


def _overlap_add(taps: Tensor) -> Tensor:
    """Gradient of ``_Steps.taps``: adds what every window gives to each position.

    Shapes:
        taps: (n, K, S, kernel). Returns (n, K, S).
    """
    n, rows, size, kernel = taps.shape
    # Position j gets tap i of the window at j - i + kernel // 2. With the taps reversed and kernel - 1 windows of
    # zeros around, these lie kernel + 1 numbers apart.
    padded = functional.pad(taps.flip(-1), (0, 0, kernel - 1, kernel - 1)).contiguous()
    windows = size + 2 * (kernel - 1)
    strides = (rows * windows * kernel, windows * kernel, kernel, kernel + 1)
    summed = padded.as_strided((n, rows, size + kernel - 1, kernel), strides).sum(-1)
    return summed[..., kernel // 2 : kernel // 2 + size]
