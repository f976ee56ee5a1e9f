"""Which tokens of a text were copied from its source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_HALF = 0.5


def copied_tokens(
    copying: Sequence[float], weights: np.ndarray, same: np.ndarray, log_probs: Sequence[float]
) -> list[bool]:
    """For each token whether copying gave it half of its probability or more: a word such as "in" can come either way.

    Args:
        copying: for each token the probability that one was copied.
        weights: the attention, heads averaged.
        same: which positions hold the token.
        log_probs: of the tokens, however they came.

    Shapes:
        weights, same: (T, S). copying, log_probs: T numbers.
    """
    shares = np.asarray(copying) * np.where(same, weights, 0.0).sum(-1) if len(copying) else []
    return [bool(share >= _HALF * np.exp(whole)) for share, whole in zip(shares, log_probs, strict=True)]
