"""How far attention can be trusted: does it point at what a word names, and when does it hear a word begin."""

from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.transcripts import align_words
from multimodal_attn.types import Box, Grid, Span, Target, Timeline

# ------------------------------------------------------------------------------------------------- pictures


def hit_cells(grid: Grid, boxes: tuple[Box, ...]) -> np.ndarray:
    """Which cells point at any of the boxes.

    A cell does if, along both axes, its centre lies in the box or the box's centre lies in it. For a box larger than
    a cell this asks for the cell's centre alone; a box that slips between the centres still has the cells over it.

    Shapes:
        Returns (S,) bool.
    """
    hits = np.zeros((grid.rows, grid.columns), dtype=bool)
    for box in boxes:
        down = _covers(grid.rows, box.top, box.bottom)
        across = _covers(grid.columns, box.left, box.right)
        hits |= down[:, None] & across[None, :]
    return hits.ravel()


def _covers(number: int, first: float, last: float) -> np.ndarray:
    """Of ``number`` equal intervals on [0, 1], those whose centre lies in [first, last] or that hold its centre."""
    edges = np.arange(number) / number
    centres = edges + 0.5 / number
    # The last interval holds its right edge too, or a box on the picture's border would lie in none.
    holder = min(int((first + last) / 2 * number), number - 1)
    return ((centres >= first) & (centres <= last)) | (np.arange(number) == holder)


def pointing_hit(weights: np.ndarray, grid: Grid, boxes: tuple[Box, ...]) -> float:
    """1 if the cell of most weight points at a true box (see ``hit_cells``), else 0.

    If several cells share the most weight, it is the share of these that hit: a uniform map is right as often as
    chance, not as often as the top left corner.

    Shapes:
        weights: (S,) of one word.
    """
    return float(hit_cells(grid, boxes)[_peaks(weights)].mean())


def _peaks(weights: np.ndarray) -> np.ndarray:
    weights = np.nan_to_num(weights)
    # Softmax of equal scores differs in its last digits.
    return weights >= weights.max() * (1 - 1e-5)


def _centre_cells(grid: Grid) -> np.ndarray:
    """The middle cell; the two or four around the middle where the grid has an even side."""
    down = np.abs(np.arange(grid.rows) - (grid.rows - 1) / 2) < 0.75
    across = np.abs(np.arange(grid.columns) - (grid.columns - 1) / 2) < 0.75
    return (down[:, None] & across[None, :]).ravel()


# --------------------------------------------------------------------------------------------------- speech


def onset_times(
    weights: np.ndarray, timeline: Timeline, word_spans: list[tuple[int, int]], method: str = "dtw"
) -> list[Span]:
    """When each word is heard, read off the attention of its tokens.

    ``dtw`` finds the monotonic path through tokens and steps that gathers the most weight above the uniform 1 / S
    (dynamic time warping, as Whisper does for word times; unlike there, the path need not begin at the first step nor
    end at the last, so that silence there belongs to no word). A word begins at the first step on the path that its
    first token attends to, more than uniformly; a step that two tokens share is split between them by their weights.
    Tokens between two words (a space) count as the beginning of the second, as in Whisper's vocabulary: a space is
    written when the next word begins to be heard.
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
        starts, ends = _path(weights)
    step, offset = timeline.step_seconds, timeline.offset_seconds
    spans = []
    before = None
    for first, stop in word_spans:
        token = first if before is None or method == "peak" else before
        before = stop
        start = offset + step * float(starts[token])
        spans.append(Span(start, max(start, offset + step * float(ends[stop - 1]))))
    return spans


def _path(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each token on the best monotonic path, in steps and fractions of them.

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

    # Steps of a pause lie on the path too, with whichever token looks away from them the least: they are nobody's.
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


# ------------------------------------------------------------------------------------------------ sharpness


def relative_entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy over the last axis as a fraction of the largest possible: 1 = uniform, 0 = a single position.

    Shapes:
        weights: (..., S), each row summing to 1. Returns (...).
    """
    size = weights.shape[-1]
    if size < 2:
        return np.ones(weights.shape[:-1])
    weights = np.nan_to_num(weights).astype(np.float64)
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return -(weights * logs).sum(-1) / np.log(size)


# --------------------------------------------------------------------------------------------------- scores


class AttentionScores:
    """Collects examples, then computes what their attention is worth. Heads are averaged everywhere.

    ``compute`` gives, where any example had the truth for it:

    - ``pointing_accuracy``: share of words with known boxes whose strongest cell points at one of them; beside it
      ``pointing_num_words`` and what no model is needed for: ``pointing_uniform``, a cell drawn at random, and
      ``pointing_centre``, always the middle of the picture.
    - ``onset_error_ms`` and ``onset_bias_ms``: median absolute and median signed difference between where attention
      has a word begin and where it does (positive = late), over the correctly recognised words, ``onset_num_words``;
      and ``onset_even_ms``, the error if the words were spread evenly over the recording.
    - ``attention_entropy`` and ``attention_peak``: mean over tokens of the relative entropy and of the largest weight.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all examples."""
        self._hits: list[tuple[float, float, float]] = []  # of the model, of a random cell, of the centre
        self._onsets: list[tuple[float, float]] = []  # milliseconds late: by attention, by even spreading
        self._sharpness = np.zeros(2)
        self._num_tokens = 0

    def update_boxes(self, weights: np.ndarray, spans: list[tuple[int, int]], target: Target, grid: Grid) -> None:
        """Adds one reference caption.

        Args:
            weights: of the caption's tokens, teacher-forced.
            spans: token range of each of its words, in the order of ``target.text``.
            target: with the boxes of its words.
            grid: where the positions lie.

        Shapes:
            weights: (T, N, S), S unpadded.
        """
        tokens = self._average(weights)
        middle = _centre_cells(grid)
        for word, boxes in target.boxes.items():
            if not boxes or word >= len(spans):  # a caption that was cut off lacks its last words
                continue
            first, stop = spans[word]
            cells = hit_cells(grid, boxes)
            hit = cells[_peaks(tokens[first:stop].mean(0))].mean()
            self._hits.append((float(hit), float(cells.mean()), float(cells[middle].mean())))

    def update_times(
        self, weights: np.ndarray, spans: list[tuple[int, int]], words: list[str], target: Target, timeline: Timeline
    ) -> None:
        """Adds one transcribed recording.

        Args:
            weights: of the hypothesis' tokens.
            spans: token range of each of its words.
            words: of the hypothesis.
            target: with the times of its words.
            timeline: where the positions lie.

        Shapes:
            weights: (T, N, S), S unpadded.
        """
        tokens = self._average(weights)
        reference = target.text.split()
        if not len(tokens) or not target.times:
            return
        heard = onset_times(tokens, timeline, spans)
        seconds = timeline.step_seconds * tokens.shape[1]
        for index, true in align_words(words, reference):
            if index is None or true is None or words[index] != reference[true]:
                continue
            start = target.times[true].start
            even = timeline.offset_seconds + seconds * index / len(words)
            self._onsets.append((1000 * (heard[index].start - start), 1000 * (even - start)))

    def compute(self) -> dict[str, float]:
        """The measures named above, as a flat dictionary; empty before the first example."""
        scores: dict[str, float] = {}
        if self._hits:
            model, uniform, centre = np.mean(self._hits, axis=0).tolist()
            scores["pointing_accuracy"] = model
            scores["pointing_num_words"] = float(len(self._hits))
            scores["pointing_uniform"] = uniform
            scores["pointing_centre"] = centre
        if self._onsets:
            late, even = np.array(self._onsets).T
            scores["onset_error_ms"] = float(np.median(np.abs(late)))
            scores["onset_bias_ms"] = float(np.median(late))
            scores["onset_num_words"] = float(len(late))
            scores["onset_even_ms"] = float(np.median(np.abs(even)))
        if self._num_tokens:
            entropy, peak = (self._sharpness / self._num_tokens).tolist()
            scores |= {"attention_entropy": entropy, "attention_peak": peak}
        return scores

    def _average(self, weights: np.ndarray) -> np.ndarray:
        """The mean over heads, whose sharpness is counted on the way.

        Shapes:
            weights: (T, N, S). Returns (T, S).
        """
        tokens = weights.mean(axis=1, dtype=np.float64)
        if len(tokens):
            self._sharpness += relative_entropy(tokens).sum(), np.nan_to_num(tokens).max(-1).sum()
            self._num_tokens += len(tokens)
        return tokens
