"""Writes texts in rows that do not look at each other: what greedy search and sampling share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.rows import Rows
from multimodal_attn.search.rules.base import Rule, apply_rules
from multimodal_attn.types import EOS, Hypothesis, Memory


class IndependentTexts(NamedTuple):
    """What was written, step by step; what comes after a text's end means nothing.

    Attributes:
        tokens: (B, K, T).
        log_probs: (B, K, T).
        weights: (B, K, T, N, S) the attention.
        gates: (B, K, T) the decoder's gate, if it has one.
    """

    tokens: Tensor
    log_probs: Tensor
    weights: Tensor
    gates: Tensor | None


def write(
    model: Seq2Seq,
    memory: Memory,
    rows: int,
    choose: Callable[[Tensor, int], Tensor],
    limits: Tensor,
    rules: Sequence[Rule] = (),
) -> IndependentTexts:
    """Writes ``rows`` texts of every source until all have ended.

    Args:
        model: in evaluation mode.
        memory: of B sources.
        rows: K, texts of each source.
        choose: takes log probabilities (B, K, V), with minus infinity where a token may not come, and the number of the
            step; gives the chosen tokens (B, K).
        limits: (B,) after how many tokens the texts of each source are cut off.
        rules: on what they hold.
    """
    written = Rows(model, memory, rows, rules)
    totals = torch.zeros(len(limits), rows, device=limits.device)
    finished = torch.zeros_like(totals, dtype=torch.bool)
    tokens, log_probs, weights, gates = [], [], [], []
    for number in range(int(limits.max())):
        logits, step = written.step(totals)
        scores = logits.log_softmax(-1)
        apply_rules(written.rules, scores, step)
        token = choose(scores, number)
        tokens.append(token)
        log_probs.append(scores.gather(-1, token[..., None])[..., 0])
        weights.append(step.attention.weights)
        if step.attention.gate is not None:
            gates.append(step.attention.gate)
        finished |= (token == EOS) | (limits[:, None] <= number + 1)
        if bool(finished.all()):
            break
        written.advance(token)
    stacked = [torch.stack(pieces, 2) for pieces in (tokens, log_probs, weights)]
    return IndependentTexts._make([*stacked, torch.stack(gates, 2) if gates else None])


def hypotheses(written: IndependentTexts, limits: Tensor, gate_name: str = "") -> list[list[Hypothesis]]:
    """The texts of every source, in the order of the rows.

    Args:
        written: by ``write``.
        limits: as there.
        gate_name: what the decoder calls its gate.
    """
    tokens, log_probs, weights = (tensor.cpu() for tensor in written[:3])
    gates = None if written.gates is None else written.gates.cpu()
    found = []
    for b, limit in enumerate(limits.tolist()):
        texts = []
        for k in range(tokens.shape[1]):
            ends = (tokens[b, k, :limit] == EOS).nonzero()
            ended = len(ends) > 0
            length = int(ends[0]) if ended else limit
            # The score counts <eos> as well: ending was a choice.
            score = float(log_probs[b, k, : length + ended].mean())
            texts.append(
                Hypothesis(
                    tokens[b, k, :length].tolist(),
                    score,
                    log_probs[b, k, :length],
                    weights[b, k, :length],
                    not ended,
                    {"decoder": score},
                    None if gates is None else gates[b, k, :length].tolist(),
                    "" if gates is None else gate_name,
                )
            )
        found.append(texts)
    return found
