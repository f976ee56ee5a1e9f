"""Beam search in numpy, over a batch: what ``BeamSearch`` does without further scorers and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from multimodal_attn.runtime.graphs import Step
from multimodal_attn.types import BOS, EOS, PAD, UNK

Advance = Callable[[np.ndarray, list[np.ndarray], np.ndarray], Step]
"""Takes the last tokens (B', K) and the state of the rows one step further, for B' of the sources, whose indices it is
given (B',)."""


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


def beam(
    advance: Advance, state: list[np.ndarray], width: int, length_penalty: float, limits: np.ndarray
) -> list[list[Text]]:
    """The best finished texts of each source, best first, at most ``width``.

    A text is finished if it ends among a step's best ``width`` continuations. The search of a source ends at its limit,
    or when its ``width`` best finished texts all score better than the best unfinished one; the others go on without
    it. With width 1 and length penalty 1 this is greedy search.

    Args:
        advance: one step of the decoder.
        state: before the first token, (B, width, ...) each.
        width: K.
        length_penalty: exponent of the length, <eos> counted.
        limits: (B,) tokens after which the texts of a source are cut off.
    """
    sources = np.arange(len(limits))
    totals = np.full((len(limits), width), -np.inf, dtype=np.float32)
    totals[:, 0] = 0.0  # all rows of a source are the same at first: only one may be continued
    tokens = np.full(totals.shape, BOS, dtype=np.int64)
    steps: list[list[_Row]] = [[] for _ in sources]
    endings: list[list[_Ending]] = [[] for _ in sources]
    for length in range(1, int(limits.max(initial=0)) + 1):
        step = advance(tokens, state, sources)
        gains, choices = _best(step.logits, 2 * width)
        ranks = (totals[..., None] + gains).reshape(len(sources), -1)
        order = np.argsort(-ranks, axis=1, kind="stable")[:, : 2 * width]
        best, chosen = _taken(ranks, order), _taken(choices, order)
        origins, ends = order // gains.shape[2], chosen == EOS
        scale = length**length_penalty
        for row, place in np.argwhere(ends[:, :width] & np.isfinite(best[:, :width])):
            score = float(best[row, place]) / scale
            endings[sources[row]].append(_Ending(score, length - 1, int(origins[row, place]), False))
        kept = np.argsort(ends, axis=1, kind="stable")[:, :width]
        totals, tokens, origins = (_taken(values, kept) for values in (best, chosen, origins))
        log_probs = _taken(gains, _taken(order, kept))
        for row, source in enumerate(sources):
            gate = None if step.gate is None else step.gate[row]
            steps[source].append(_Row(tokens[row], origins[row], log_probs[row], step.weights[row], gate))
        ended = [_ended(endings[source], width, float(totals[row, 0]) / scale) for row, source in enumerate(sources)]
        for row in np.flatnonzero(limits[sources] == length):
            ended[row] = True
            if not (found := endings[sources[row]]):  # nothing ended in time: the best unfinished texts
                found += [
                    _Ending(float(total) / scale, length, place, True)
                    for place, total in enumerate(totals[row])
                    if np.isfinite(total)
                ]
        on = np.flatnonzero(~np.array(ended))
        if not len(on):
            break
        sources, totals, tokens = sources[on], totals[on], tokens[on]
        state = [leaf[on[:, None], origins[on]] for leaf in step.state]
    return [
        [_traced(ending, rows) for ending in sorted(found, key=lambda ending: -ending.score)[:width]]
        for found, rows in zip(endings, steps, strict=True)
    ]


def _ended(endings: list[_Ending], width: int, best: float) -> bool:
    """Whether no unfinished text can be among the best; ``best`` is the score of the best of them."""
    if len(endings) < width:
        return False
    worst = sorted((ending.score for ending in endings), reverse=True)[width - 1]
    return not np.isfinite(best) or worst >= best


def _taken(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values (B, ...) at places (B, P), which count all axes after the first as one."""
    return np.take_along_axis(values.reshape(len(values), -1), places, 1)


def _best(logits: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The best tokens of each row with their log probabilities, best first; special tokens but <eos> never come.

    Shapes:
        logits: (B, K, V). Returns (B, K, number) twice, or (B, K, V) if that is fewer.
    """
    logits = logits.copy()
    logits[..., [PAD, BOS, UNK]] = -np.inf
    highest = logits.max(-1, keepdims=True)
    normalizer = highest + np.log(np.exp(logits - highest).sum(-1, keepdims=True))
    number = min(number, logits.shape[-1])
    found = np.argpartition(-logits, number - 1, axis=-1)[..., :number]
    best = np.take_along_axis(logits, found, -1)
    order = np.argsort(-best, axis=-1, kind="stable")
    return np.take_along_axis(best, order, -1) - normalizer, np.take_along_axis(found, order, -1)


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
