"""The loop as one function of autograd."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from multimodal_attn.models.kernels.additive_scores import last_real
from multimodal_attn.models.kernels.fast_loop.gradients import Gradients
from multimodal_attn.models.kernels.fast_loop.loop import Loop
from multimodal_attn.models.kernels.fast_loop.plan import Kept, LoopAttention, LoopPlan, LoopWeights, views_of_steps


class LoopOutput(NamedTuple):
    """Of every step; rows that have left the loop are 0.

    Attributes:
        hidden: (B, K, T, H).
        context: (B, K, T, D), gated.
        weights: (B, K, T, S).
    """

    hidden: Tensor
    context: Tensor
    weights: Tensor


def run_loop(
    attention: LoopAttention,
    recurrent: Tensor,
    gate: tuple[Tensor, Tensor] | None,
    attend_before: bool,
    active: list[int],
    gates: Tensor,
    hidden: Tensor,
    cell: Tensor,
    keys: Tensor,
    states: Tensor,
    mask: Tensor,
    previous: Tensor | None,
) -> LoopOutput:
    """Attends and recurs for all steps; differentiable once in everything but ``mask`` and ``previous``.

    Args:
        attention: what the mechanism offers.
        recurrent: see ``LoopWeights``, as for ``gate``.
        attend_before: see ``LoopPlan``, as for ``active``.

    Shapes:
        gates: (B, K, T, 4H) the embedding's part. hidden, cell: (B, K, H) at the start. keys: (B, S, A) of
        ``additive_keys``. states: (B, S, D). mask: (B, S). previous: the state of attention before the first step, if
        it has one: (B, K, S) weights, and with forward attention (B, K, reach + 1) shifts before them.
    """
    # Under autocast the plain loop's products are in the dtype that autocast gave the gates.
    plan = LoopPlan(attend_before, active, gates.dtype, attention.reach)
    weights = (*attention[:-1], recurrent, *(gate or (None, None)))
    by_step = gates.transpose(1, 2).transpose(0, 1)  # (T, B, K, 4H)
    with torch.autocast(gates.device.type, enabled=False):
        output = _RunLoop.apply(plan, by_step, hidden, cell, keys, states, mask, previous, *weights)
    return LoopOutput(*(steps.permute(1, 2, 0, 3) for steps in output))


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
        loop = Loop(plan, keys, LoopWeights(*parameters), lengths, rows)  # type: ignore[arg-type]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        hidden, cell = hidden.to(wide), cell.to(wide)
        width, dim = hidden.shape[-1], states.shape[-1]
        contexts = plan.buffer(hidden, dim, before=1)
        kept = Kept(
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
            views_of_steps(plan, kept, states), plan.views(gates), plan.still(~mask[:, None]), strict=True
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
        kept, parameters = Kept(*others[: len(Kept._fields)]), LoopWeights(*others[len(Kept._fields) :])
        loop = Loop(ctx.plan, keys, parameters, ctx.lengths, kept.hiddens.shape[2])
        # What holds still, such as the memory of a frozen encoder, needs no gradient.
        return Gradients(loop, kept, states, grads, wants_states=ctx.needs_input_grad[5]).run(*ctx.dtypes)
