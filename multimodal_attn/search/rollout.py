"""Writes texts token by token in rows that do not look at each other: what greedy search and sampling share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.constraints import Constraints, forbid_specials
from multimodal_attn.search.limits import LengthLimits
from multimodal_attn.types import BOS, EOS, Hypothesis, Memory


class Steps(NamedTuple):
    """What was written, step by step; what stands behind a text's end is nobody's.

    Attributes:
        tokens: of each step (B, K).
        log_probs: of each step (B, K).
        weights: of each step (B, K, N, S) the attention.
        gates: of each step (B, K) the decoder's gate, if it has one; else empty.
    """

    tokens: list[Tensor]
    log_probs: list[Tensor]
    weights: list[Tensor]
    gates: list[Tensor]


def roll(
    decoder: Decoder,
    memory: Memory,
    rows: int,
    choose: Callable[[Tensor, int], Tensor],
    limits: LengthLimits,
    constraints: Constraints,
) -> Steps:
    """Writes ``rows`` texts of every source until all have ended.

    Args:
        decoder: in evaluation mode.
        memory: of B sources.
        rows: K, texts of each source.
        choose: takes log probabilities (B, K, V), with minus infinity where a token may not come, and the number of the
            step; gives the chosen tokens (B, K).
        limits: where texts are cut off.
        constraints: on what they may hold.
    """
    source = decoder.prepare(memory)
    state = decoder.start(source, rows)
    limit = limits.of(memory)[:, None]  # (B, 1)
    token = torch.full((len(memory.mask), rows), BOS, device=memory.mask.device)
    history = token[..., None] if constraints.need_history else None
    finished = torch.zeros_like(token, dtype=torch.bool)
    steps = Steps([], [], [], [])
    for step in range(int(limit.max())):
        logits, state, attended = decoder.step(token, state, source)
        scores = constraints(forbid_specials(logits).log_softmax(-1), step, history)
        token = choose(scores, step)
        steps.tokens.append(token)
        steps.log_probs.append(scores.gather(-1, token[..., None])[..., 0])
        steps.weights.append(attended.weights)
        if attended.gate is not None:
            steps.gates.append(attended.gate)
        finished |= (token == EOS) | (limit <= step + 1)
        if bool(finished.all()):
            break
        if history is not None:
            history = torch.cat([history, token[..., None]], dim=-1)
    return steps


def roll_out(
    decoder: Decoder,
    memory: Memory,
    rows: int,
    choose: Callable[[Tensor, int], Tensor],
    limits: LengthLimits,
    constraints: Constraints,
) -> list[list[Hypothesis]]:
    """``rows`` texts of every source, in the order of the rows; arguments as in ``roll``."""
    steps = roll(decoder, memory, rows, choose, limits, constraints)
    tokens, log_probs, weights = (torch.stack(t, 2).cpu() for t in steps[:3])
    found = [
        [_cut(tokens[b, k], log_probs[b, k], weights[b, k], end) for k in range(rows)]
        for b, end in enumerate(limits.of(memory).tolist())
    ]
    if steps.gates:
        gates = torch.stack(steps.gates, 2).cpu()
        for b, k in product(range(len(found)), range(rows)):
            text = found[b][k]
            text.gate, text.gate_name = gates[b, k, : len(text.tokens)].tolist(), decoder.gate_name
    return found


def _cut(tokens: Tensor, log_probs: Tensor, weights: Tensor, limit: int) -> Hypothesis:
    """The row's text up to its <eos> or its limit."""
    ends = (tokens[:limit] == EOS).nonzero()
    ended = len(ends) > 0
    length = int(ends[0]) if ended else limit
    # The score counts <eos> as well: ending was a choice.
    score = float(log_probs[: length + ended].mean())
    return Hypothesis(
        tokens[:length].tolist(), score, log_probs[:length], weights[:length], not ended, {"decoder": score}
    )
