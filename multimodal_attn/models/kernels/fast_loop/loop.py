"""The steps of the loop, forwards."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from multimodal_attn.models.kernels.additive_scores import HiddenLayer
from multimodal_attn.models.kernels.fast_loop.plan import LoopPlan, LoopWeights, Step
from multimodal_attn.models.kernels.windows import windows


class Loop:
    """One step of attention and of the LSTM, written into its views."""

    def __init__(
        self, plan: LoopPlan, keys: Tensor, weights: LoopWeights, lengths: list[int] | None, rows: int
    ) -> None:
        self.plan = plan
        self.recurrent = weights.recurrent.to(plan.dtype)
        self.query = 2 * weights.query.to(plan.dtype)  # doubled, like the keys
        self.query_inputs_first = self.query.T
        self.layer = HiddenLayer(keys, weights.score, weights.location, lengths, uses=rows * len(plan.active))
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

    def look(self, step: Step, hidden: Tensor, padding: Tensor) -> None:
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

    def recur(self, step: Step, gates: Tensor, context: Tensor) -> None:
        """Writes the activations of the gates and the new state, given the embedding's part of the gates."""
        inputs = torch.cat([context, step.last_hidden], dim=-1).to(self.recurrent.dtype)
        torch.add(inputs @ self.recurrent_inputs_first, gates, out=step.activations)
        input_gate, forget_gate, output_gate, candidate = step.activations.chunk(4, dim=-1)
        step.activations[..., : 3 * candidate.shape[-1]].sigmoid_()
        candidate.tanh_()
        torch.addcmul(forget_gate * step.last_cell, input_gate, candidate, out=step.cell)
        torch.mul(output_gate, step.cell.tanh(), out=step.hidden)
