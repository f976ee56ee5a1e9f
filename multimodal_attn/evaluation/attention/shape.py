"""What the maps of a text look like, with no truth needed: sharp or flat, spread or stuck, in order or not."""

from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.attention.grounding import peaks
from multimodal_attn.prediction.entropy import relative_entropy

_FEWEST_WORDS = 3  # that a sink is told from
_SINK = 2  # times the uniform share: half of the cells of a nearly uniform map have a little more than it


def sharpness(maps: np.ndarray) -> np.ndarray:
    """Relative entropy and largest weight of each map.

    Shapes:
        maps: (T, S). Returns (T, 2).
    """
    if not len(maps):
        return np.zeros((0, 2))
    return np.stack([relative_entropy(maps), np.nan_to_num(maps).max(-1)], axis=1)


def sink_share(words: np.ndarray) -> float | None:
    """The share of a text's attention that goes to cells which get it whatever the word: borders, silence, <eos>.

    A cell is a sink if every word gives it at least twice the uniform share 1 / S; what counts is the least that it
    gets from any word, so that a map which moves has no part in it. Of ten words one may look elsewhere. A nearly
    uniform map has no sink: 0. All weight on the same cell is 1. What the words truly share, such as the one thing in
    a picture, counts too.

    Args:
        words: the map of each word of one text, without padding.

    Shapes:
        words: (W, S).

    Returns:
        None for fewer than three words, which share their cells by accident.
    """
    if len(words) < _FEWEST_WORDS:
        return None
    words = np.nan_to_num(words).astype(np.float64)
    shared = np.sort(words, axis=0)[len(words) // 10]
    return float(shared[shared > (_SINK - 1e-5) / words.shape[1]].sum())


def text_shape(weights: np.ndarray, ordered: bool) -> dict[str, float]:
    """Measures of all maps of one text together.

    A cell is *attended* in a step if it has more than the uniform share, 1 / S.

    - ``coverage``: share of the cells that are attended in any step.
    - ``top_cell``: share of the text's whole weight that lies on the cell that has the most of it.

    And where cells have an order:

    - ``monotonicity``: share of steps, but for the first, whose peak does not lie before the peak of the step before.
      A peak of equal cells lies in the middle of them.
    - ``diagonality``: correlation of a token's number and the mean position of its weight; 0 where either is constant.
    - ``repeats``: of the cells that are attended at all, the share that attention left and came back to.
    - ``skips``: of the cells between the first and the last that are attended, the share that never is.

    Args:
        weights: of the tokens of one text, without padding.
        ordered: whether positions lie along time or a text, and not in a picture.

    Shapes:
        weights: (T, S), T and S at least 1.
    """
    weights = np.nan_to_num(weights).astype(np.float64)
    num_tokens, size = weights.shape
    attended = weights > (1 + 1e-5) / size
    visited = attended.any(axis=0)
    shape = {"coverage": float(visited.mean()), "top_cell": float(weights.mean(axis=0).max())}
    if not ordered:
        return shape
    if num_tokens > 1:
        positions = np.arange(size)
        tops = peaks(weights)
        places = (tops * positions).sum(axis=1) / tops.sum(axis=1)
        shape["monotonicity"] = float((np.diff(places) >= 0).mean())
        means = weights @ positions / np.maximum(weights.sum(axis=1), 1e-12)
        # The mean of a uniform map is constant but for rounding, which correlates with anything.
        moves = means.std() > 1e-6 * size
        shape["diagonality"] = float(np.corrcoef(np.arange(num_tokens), means)[0, 1]) if moves else 0.0
    if visited.any():
        arrivals = attended & ~np.concatenate([np.zeros((1, size), dtype=bool), attended[:-1]])
        shape["repeats"] = float((arrivals.sum(axis=0)[visited] > 1).mean())
        first, last = np.flatnonzero(visited)[[0, -1]]
        shape["skips"] = float((~visited[first : last + 1]).mean())
    return shape
