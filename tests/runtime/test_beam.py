"""Texts of a batch: each as it would be by itself, whenever the others end."""

from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.runtime.beam import Text, beam
from multimodal_attn.runtime.graphs import Step
from multimodal_attn.types import EOS

VOCABULARY, POSITIONS = 9, 4


def search(places: list[int], width: int, limits: list[int]) -> tuple[list[list[Text]], list[int]]:
    """Texts of made-up sources, and how many of them each step was asked about.

    What comes next hangs on the source, on all tokens so far, and on nothing else.
    """
    asked: list[int] = []

    def advance(tokens: np.ndarray, state: list[np.ndarray], on: np.ndarray) -> Step:
        asked.append(len(on))
        (history,) = state
        np.testing.assert_array_equal(history[..., 0], np.repeat(np.array(places)[on][:, None], width, axis=1))
        history = np.concatenate([history, tokens[..., None]], axis=-1)
        logits = np.zeros((*tokens.shape, VOCABULARY), dtype=np.float32)
        weights = np.zeros((*tokens.shape, 1, POSITIONS), dtype=np.float32)
        for row in np.ndindex(tokens.shape):
            generator = np.random.default_rng(history[row])
            logits[row] = 2 * generator.standard_normal(VOCABULARY)
            logits[row][EOS] += history[row][0]
            weights[row] = generator.dirichlet(np.ones(POSITIONS))
        return Step(logits, weights, weights[..., 0, 0], [history])

    start = np.repeat(np.array(places)[:, None, None], width, axis=1)
    return beam(advance, [start], width, 0.7, np.array(limits)), asked


@pytest.mark.parametrize("width", [1, 3, 5])
def test_each_source_gets_what_it_would_get_alone(width: int) -> None:
    places, limits = [0, 3, 1, 2, 0, 4], [30, 30, 30, 3, 5, 30]
    together, asked = search(places, width, limits)
    assert asked == sorted(asked, reverse=True)
    assert len({*asked}) > 2, "sources that end together do not show that one ends by itself"
    for found, place, limit in zip(together, places, limits, strict=True):
        ((expected,), _) = search([place], width, [limit])
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert (one.tokens, one.score, one.cut) == (other.tokens, other.score, other.cut)
            assert len(one.tokens) <= limit
            for name in ("log_probs", "weights", "gate"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
