"""A word that a model wrote."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Word(NamedTuple):
    """A word of a prediction.

    Attributes:
        text: of the word.
        map: where the model looked, the mean over the word's tokens and over heads; it sums to 1. (rows, columns) for
            a picture, (steps,) for a recording, (tokens,) for a text.
        start: seconds from the start of the recording; None for other sources.
        end: likewise.
        probability: that the model gave the word, the product over its tokens.
        gate: how far the decoder let attention through, in [0, 1]; None without such a gate.
        confidence: the probability that the word is right (``confidence.py``); None for a run without a temperature.
    """

    text: str
    map: np.ndarray
    start: float | None
    end: float | None
    probability: float
    gate: float | None
    confidence: float | None = None
