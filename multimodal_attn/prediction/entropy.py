"""How spread weights are."""

from __future__ import annotations

import numpy as np


def relative_entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy over the last axis as a fraction of the largest possible: 1 = uniform, 0 = a single position.

    Shapes:
        weights: (..., S), each row summing to 1. Returns (...).
    """
    size = weights.shape[-1]
    if size < 2:
        return np.ones(weights.shape[:-1])
    return _entropy(weights) / np.log(size)


def effective_cells(weights: np.ndarray) -> np.ndarray:
    """How many equally weighted cells have the same entropy: exp(entropy), from 1 to S.

    Shapes:
        weights: (..., S), each row summing to 1. Returns (...).
    """
    return np.exp(_entropy(weights))


def _entropy(weights: np.ndarray) -> np.ndarray:
    weights = np.nan_to_num(weights).astype(np.float64)
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return -(weights * logs).sum(-1)
