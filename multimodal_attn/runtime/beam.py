"""Beam search in numpy, over one source: what ``BeamSearch`` does without further scorers and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from multimodal_attn.runtime.graphs import Step
from multimodal_attn.types import BOS, EOS, PAD, UNK

Advance = Callable[[np.ndarray, list[np.ndarray]], Step]
"""Takes the last tokens (1, K) and the state of the rows one step further."""


class Text(NamedTuple):
    """One text that a search returns.

    Attributes:
        tokens: without <bos> and <eos>, T of them.
        score: log probability, divided by ``length ** length_penalty``.
        log_probs: (T,) of each token.
        weights: (T, N, S) attention when each token was written.
        gate: (T,), or None.
        cut: the search ended before the text did.
    """

    tokens: list[int]
    score: float
    log_probs: np.ndarray
    weights: np.ndarray
    gate: np.ndarray | None
    cut: bool


class _Row(NamedTuple):
    """What a step leaves for tracing back: of the rows after it, but for weights and gate, of the rows before."""

    tokens: np.ndarray
    origins: np.ndarray
    log_probs: np.ndarray
    weights: np.ndarray
    gate: np.ndarray | None


class _Ending(NamedTuple):
    score: float
    length: int
    row: int
    cut: bool


def beam(advance: Advance, state: list[np.ndarray], width: int, length_penalty: float, limit: int) -> list[Text]:
    """The best finished texts, best first, at most ``width``. With width 1 and length penalty 1 this is greedy search.

    A text is finished if it ends among a step's best ``width`` continuations. The search ends at the limit, or when its
    ``width`` best finished texts all score better than the best unfinished one.

    Args:
        advance: one step of the decoder.
        state: before the first token, (1, width, ...) each.
        width: K.
        length_penalty: exponent of the length, <eos> counted.
        limit: tokens after which a text is cut off.
    """
    totals = np.full(width, -np.inf, dtype=np.float32)
    totals[0] = 0.0  # all rows are the same at first: only one may be continued
    tokens = np.full((1, width), BOS, dtype=np.int64)
    steps: list[_Row] = []
    endings: list[_Ending] = []
    for length in range(1, limit + 1):
        step = advance(tokens, state)
        gains, choices = _best(step.logits[0], 2 * width)
        ranks = (totals[:, None] + gains).ravel()
        order = np.argsort(-ranks, kind="stable")[: 2 * width]
        origins, chosen = order // gains.shape[1], choices.ravel()[order]
        ends = chosen == EOS
        scale = length**length_penalty
        for place in np.flatnonzero(ends[:width]):
            if np.isfinite(ranks[order[place]]):
                endings.append(_Ending(float(ranks[order[place]]) / scale, length - 1, int(origins[place]), False))
        kept = np.argsort(ends, kind="stable")[:width]
        totals, tokens, origins = ranks[order[kept]], chosen[kept][None], origins[kept]
        gate = None if step.gate is None else step.gate[0]
        steps.append(_Row(tokens[0], origins, gains.ravel()[order[kept]], step.weights[0], gate))
        if len(endings) >= width:
            worst = sorted((ending.score for ending in endings), reverse=True)[width - 1]
            if not np.isfinite(totals[0]) or worst >= float(totals[0]) / scale:
                break
        state = [leaf[:, origins] for leaf in step.state]
    if not endings:  # nothing ended in time: the best unfinished texts
        scale = limit**length_penalty
        endings = [
            _Ending(float(total) / scale, limit, row, True) for row, total in enumerate(totals) if np.isfinite(total)
        ]
    return [_traced(ending, steps) for ending in sorted(endings, key=lambda ending: -ending.score)[:width]]


def _best(logits: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The best tokens of each row with their log probabilities, best first; special tokens but <eos> never come.

    Shapes:
        logits: (K, V). Returns (K, number) twice, or (K, V) if that is fewer.
    """
    logits = logits.copy()
    logits[:, [PAD, BOS, UNK]] = -np.inf
    highest = logits.max(1, keepdims=True)
    normalizer = highest + np.log(np.exp(logits - highest).sum(1, keepdims=True))
    number = min(number, logits.shape[1])
    found = np.argpartition(-logits, number - 1, axis=1)[:, :number]
    best = np.take_along_axis(logits, found, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(best, order, 1) - normalizer, np.take_along_axis(found, order, 1)


def _traced(ending: _Ending, steps: list[_Row]) -> Text:
    """A text with what belongs to its tokens, from the last to the first."""
    row, found = ending.row, []
    for step in reversed(steps[: ending.length]):
        before = int(step.origins[row])
        # The row that attended in a step is the one that the word came from.
        gate = None if step.gate is None else step.gate[before]
        found.append((int(step.tokens[row]), step.log_probs[row], step.weights[before], gate))
        row = before
    found.reverse()
    empty = np.zeros((0, *steps[0].weights.shape[1:]), dtype=np.float32)
    return Text(
        [token for token, _, _, _ in found],
        ending.score,
        np.array([log_prob for _, log_prob, _, _ in found], dtype=np.float32),
        np.stack([weights for _, _, weights, _ in found]) if found else empty,
        None if steps[0].gate is None else np.array([gate for _, _, _, gate in found], dtype=np.float32),
        ending.cut,
    )
