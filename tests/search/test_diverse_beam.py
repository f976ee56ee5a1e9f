"""Groups that keep apart, by hand-made probabilities."""

from __future__ import annotations

import pytest
import torch

from multimodal_attn.search import BeamSearch, DiverseBeamSearch
from tests.search.scripted import TableDecoder, memory, table

# First words by probability, each with one certain continuation, so that a text is told by its first word.
FIRST = table(9, t1={4: 0.5, 5: 0.3, 6: 0.2}, t4={7: 0.6, 8: 0.4})


def first_words(search: DiverseBeamSearch | BeamSearch) -> list[int]:
    return [text.tokens[0] for text in search(TableDecoder(FIRST), memory())[0]]


def test_groups_take_different_words() -> None:
    # Each group alone would take 4; the second pays log 2 for it: 0.5 / 2 < 0.3, but not 0.5 / 1.5.
    assert sorted(first_words(DiverseBeamSearch(width=3, num_groups=3, diversity=2.0))) == [4, 5, 6]
    assert sorted(first_words(DiverseBeamSearch(width=2, num_groups=2, diversity=0.7))) == [4, 5]
    assert first_words(DiverseBeamSearch(width=2, num_groups=2, diversity=0.4)) == [4]


def test_text_of_two_groups_is_returned_once() -> None:
    found = DiverseBeamSearch(width=4, num_groups=4, diversity=0.0)(TableDecoder(FIRST), memory())[0]
    assert [text.tokens for text in found] == [[4, 7]]


def test_score_is_the_probability_without_the_penalty() -> None:
    found = DiverseBeamSearch(width=2, num_groups=2, diversity=2.0, length_penalty=0)(TableDecoder(FIRST), memory())[0]
    assert {text.tokens[0]: text.score for text in found} == pytest.approx(
        {4: float(torch.tensor(0.5 * 0.6).log()), 5: float(torch.tensor(0.3).log())}, abs=1e-4
    )
    assert found == sorted(found, key=lambda text: -text.score)


def test_one_group_is_beam_search() -> None:
    decoder = TableDecoder(torch.randn(4, 9, 9) * 1.5)
    diverse = DiverseBeamSearch(width=3, num_groups=1, max_length=8)(decoder, memory(batch=4))
    beam = BeamSearch(width=3, max_length=8)(decoder, memory(batch=4))
    assert [[t.tokens for t in texts] for texts in diverse] == [[t.tokens for t in texts] for texts in beam]
    assert [[t.score for t in texts] for texts in diverse] == [
        pytest.approx([t.score for t in texts], abs=1e-5) for texts in beam
    ]
