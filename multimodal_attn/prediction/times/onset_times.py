"""When attention hears a word: onsets and offsets read off the weights of its tokens."""

from __future__ import annotations

import numpy as np

from multimodal_attn.types import Span, Timeline

LONGEST_SPACE = 0.08
"""Seconds before its first token from which a word may begin where a space is heard; what is longer is a pause."""


def onset_times(
    weights: np.ndarray, timeline: Timeline, word_spans: list[tuple[int, int]], method: str = "dtw"
) -> list[Span]:
    """When each word is heard, read off the attention of its tokens.

    ``dtw`` finds the monotonic path through tokens and steps that gathers the most weight above the uniform 1 / S
    (dynamic time warping, as Whisper does for word times; unlike there, the path need not begin at the first step nor
    end at the last, so that silence there belongs to no word). A word begins at the first step on the path that its
    first token attends to, more than uniformly; a step that two tokens share is split between them by their weights.
    Tokens between two words (a space) count as the beginning of the second, as in Whisper's vocabulary: in fluent
    speech a space is written when the next word begins to be heard. Of a pause, which the space may fill as well, no
    more than ``LONGEST_SPACE`` counts.
    ``peak`` takes the strongest step of the first and the last token, whatever their order.

    Args:
        weights: of the tokens.
        timeline: where the steps lie.
        word_spans: first token and one past the last token of each word.
        method: ``dtw`` or ``peak``.

    Shapes:
        weights: (T, S).

    Raises:
        ValueError: for another method.
    """
    if method not in ("dtw", "peak"):
        raise ValueError(f"method: {method!r}; expected 'dtw' or 'peak'")
    if not len(weights):
        return []
    weights = np.nan_to_num(weights).astype(np.float64)
    if method == "peak":
        starts = weights.argmax(axis=1).astype(np.float64)
        ends = starts + 1
    else:
        starts, ends = monotonic_path(weights)
    step, offset = timeline.step_seconds, timeline.offset_seconds
    spans = []
    before = None
    for first, stop in word_spans:
        token = first if before is None or method == "peak" else before
        before = stop
        start = offset + max(step * float(starts[token]), step * float(starts[first]) - LONGEST_SPACE)
        spans.append(Span(start, max(start, offset + step * float(ends[stop - 1]))))
    return spans


def monotonic_path(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each token on the best monotonic path (see ``onset_times``), in steps and fractions of them.

    Shapes:
        weights: (T, S). Returns (T,) and (T,).
    """
    num_tokens, num_steps = weights.shape
    gains = weights - 1 / num_steps
    totals = np.concatenate([np.zeros((num_tokens, 1)), gains.cumsum(axis=1)], axis=1)  # (T, S + 1)
    entered = np.empty((num_tokens, num_steps), dtype=np.int64)  # where the best path to (t, s) enters token t
    best = np.empty((num_tokens, num_steps))  # what the best path to (t, s) gathers
    for token in range(num_tokens):
        if token == 0:
            before = np.zeros(num_steps)
        else:  # the token before was left at the same step or at the one before
            before = np.maximum(best[token - 1], np.concatenate([[-np.inf], best[token - 1, :-1]]))
        entry = before - totals[token, :-1]
        record = np.maximum.accumulate(entry)
        # Of equally good entries the latest: nothing speaks for the steps between.
        entered[token] = np.maximum.accumulate(np.where(entry >= record, np.arange(num_steps), 0))
        best[token] = record + totals[token, 1:]

    first, last = np.empty(num_tokens, dtype=np.int64), np.empty(num_tokens, dtype=np.int64)
    step = int(best[-1].argmax())
    for token in reversed(range(num_tokens)):
        last[token], first[token] = step, entered[token, step]
        step = int(first[token])
        if token and step and best[token - 1, step - 1] >= best[token - 1, step]:
            step -= 1

    # Steps of a pause lie on the path too, with whichever token looks away from them the least: they belong to none.
    for token in range(num_tokens):
        attended = np.flatnonzero(gains[token, first[token] : last[token] + 1] > 0)
        if attended.size:
            first[token], last[token] = first[token] + attended[0], first[token] + attended[-1]

    def share(step: int, token: int) -> float:
        """Part of a step's weight that belongs to the tokens before ``token``."""
        mass = np.where((first <= step) & (last >= step), weights[:, step] + 1e-12, 0.0)
        return float(mass[:token].sum() / mass.sum())

    starts = np.array([step + share(step, token) for token, step in enumerate(first.tolist())])
    ends = np.array([step + share(step, token + 1) for token, step in enumerate(last.tolist())])
    return starts, ends
