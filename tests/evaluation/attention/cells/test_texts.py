from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.evaluation.attention.cells.base import Text
from multimodal_attn.evaluation.attention.cells.texts import TextCells
from multimodal_attn.types import UNK, Target, TokenAxis


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, S): each token looks at one position."""
    return np.eye(size)[list(positions)]


def test_alignment_by_hand() -> None:
    """Three words of one token over four positions: right, wrong, and as good as a draw between two."""
    scores = TextCells()
    weights = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7], [0.0, 0.5, 0.5, 0.0]])
    target = Target("a b c d", read_from={0: (0,), 1: (0, 1), 2: (1,)})
    scores.compare(Text(weights, [(0, 1), (1, 2), (2, 3)]), target, [(0, 1), (1, 2), (2, 4)])
    found = scores.compute()
    assert found["alignment_accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["alignment_uniform"] == pytest.approx((1 + 2 + 1) / 12)
    assert found["alignment_mass_gain"] == pytest.approx((0.7 + 0.2 + 0.5) / 3 - 4 / 12)
    assert found["alignment_num_words"] == 3


def test_alignment_of_a_uniform_map_is_chance_and_that_of_the_truth_is_one() -> None:
    random = np.random.default_rng(0)
    places = random.integers(0, 5, size=20)
    target = Target(" ".join("x" * 20), read_from={word: (int(place),) for word, place in enumerate(places)})
    spans, source_spans = [(word, word + 1) for word in range(20)], [(2 * place, 2 * place + 2) for place in range(5)]
    uniform, true = TextCells(), TextCells()
    uniform.compare(Text(np.full((20, 10), 0.1), spans), target, source_spans)
    true.compare(Text(np.eye(10)[2 * places], spans), target, source_spans)
    assert uniform.compute()["alignment_accuracy"] == pytest.approx(uniform.compute()["alignment_uniform"])
    assert uniform.compute()["alignment_mass_gain"] == pytest.approx(0)
    assert true.compute()["alignment_accuracy"] == 1
    merged = TextCells()
    merged.merge(uniform)
    merged.merge(true)
    assert merged.compute()["alignment_accuracy"] == pytest.approx((1 + uniform.compute()["alignment_accuracy"]) / 2)


def test_words_that_are_removed_are_unknown() -> None:
    removed = torch.tensor([[True, False, True]])
    found = TextCells.remove(torch.tensor([[7, 8, 9]]), removed, TokenAxis(), 1)
    assert found.tolist() == [[UNK, 8, UNK]]
