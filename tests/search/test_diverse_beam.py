"""Groups that keep apart, by hand-made probabilities."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.search import BeamSearch
from multimodal_attn.search.scorers.ctc import CTCScorer
from multimodal_attn.search.scorers.language_model import LanguageModelScorer
from multimodal_attn.types import PAD
from tests.search.scripted import TableDecoder, TableLanguageModel, memory, model_of, search_of, table

# First words by probability, each with one certain continuation, so that a text is told by its first word.
FIRST = model_of(TableDecoder(table(9, t1={4: 0.5, 5: 0.3, 6: 0.2}, t4={7: 0.6, 8: 0.4})))


def first_words(search: BeamSearch, model: Any = FIRST) -> list[int]:
    return [text.tokens[0] for text in search(model, memory(3))[0]]


def test_groups_take_different_words() -> None:
    # Each group alone would take 4; the second pays log 2 for it: 0.5 / 2 < 0.3, but not 0.5 / 1.5.
    assert sorted(first_words(BeamSearch(width=3, num_groups=3, diversity=2.0))) == [4, 5, 6]
    assert sorted(first_words(BeamSearch(width=2, num_groups=2, diversity=0.7))) == [4, 5]
    assert first_words(BeamSearch(width=2, num_groups=2, diversity=0.4)) == [4]


def test_text_of_two_groups_is_returned_once() -> None:
    found = BeamSearch(width=4, num_groups=4)(FIRST, memory())[0]
    assert [text.tokens for text in found] == [[4, 7]]


def test_score_is_the_probability_without_the_penalty() -> None:
    found = BeamSearch(width=2, num_groups=2, diversity=2.0, length_penalty=0)(FIRST, memory())[0]
    assert {text.tokens[0]: text.score for text in found} == pytest.approx(
        {4: float(torch.tensor(0.5 * 0.6).log()), 5: float(torch.tensor(0.3).log())}, abs=1e-4
    )
    assert found == sorted(found, key=lambda text: -text.score)


def test_one_group_is_beam_search() -> None:
    model = model_of(TableDecoder(torch.randn(4, 9, 9) * 1.5))
    diverse = search_of("diverse_beam", width=3, num_groups=1, max_length=8)(model, memory(batch=4))
    beam = search_of("beam", width=3, max_length=8)(model, memory(batch=4))
    assert [[(t.tokens, t.score) for t in texts] for texts in diverse] == [
        [(t.tokens, t.score) for t in texts] for texts in beam
    ]


def test_what_earlier_groups_take_may_fall_behind_all_that_is_looked_at() -> None:
    """Ten groups of one row and a large penalty: the last takes the tenth best token."""
    probabilities = {token: 0.2 - 0.01 * token for token in range(4, 16)}
    model = model_of(TableDecoder(table(16, t1=probabilities)))
    assert first_words(BeamSearch(10, num_groups=10, diversity=9.0), model) == [*range(4, 14)]


def test_groups_hear_ctc() -> None:
    """CTC hears 5 and then 6; the decoder alone writes 4 first, and the second group keeps apart from either."""
    logits = torch.full((1, 3, 9), -20.0)
    logits[0, 0, 5], logits[0, 0, 6], logits[0, 1:, PAD] = 2.0, 1.5, 0.0
    model = model_of(FIRST.decoder, lambda states: logits)
    groups = {"width": 2, "num_groups": 2, "diversity": 2.0}
    assert first_words(BeamSearch(**groups)) == [4, 5]
    search = BeamSearch(scorers=[CTCScorer(0.3)], **groups)
    assert first_words(search, model) == [5, 6]
    for found in search(model, memory(3))[0]:
        assert set(found.scores) == {"decoder", "ctc"}
        assert found.score == pytest.approx(sum(found.scores.values()))
        assert found.log_probs.exp().tolist()[0] == pytest.approx({5: 0.3, 6: 0.2}[found.tokens[0]], rel=1e-4)


def test_groups_read_a_language_model() -> None:
    """It makes 6 the best first word and 5 the second, and has never seen a 4."""
    language_model = TableLanguageModel(table(9, t1={5: 0.2, 6: 0.8}, t4={7: 0.5, 8: 0.5}))
    scorers = [LanguageModelScorer(language_model, 0.7)]
    search = BeamSearch(2, num_groups=2, diversity=2.0, length_penalty=0, scorers=scorers)
    search.prepare(FIRST, WordTokenizer().fit(["4 5 6 7 8"]))
    found = {text.tokens[0]: text.scores for text in search(FIRST, memory())[0]}
    assert list(found) == [6, 5]
    for word, (decoder, language) in {6: (0.2, 0.8), 5: (0.3, 0.2)}.items():
        assert found[word]["decoder"] == pytest.approx(float(torch.tensor(decoder).log()), abs=1e-4)
        assert found[word]["language_model"] == pytest.approx(0.7 * float(torch.tensor(language).log()), abs=1e-4)


def test_every_group_forces_the_words() -> None:
    search = search_of("diverse_beam", width=4, num_groups=2, diversity=1.0, forced_words=["6", "8"], max_length=9)
    model = model_of(TableDecoder(torch.randn(9, 9, generator=torch.Generator().manual_seed(0))))
    found = search(model, memory())[0]
    assert len(found) > 2
    assert all({6, 8} <= set(text.tokens) for text in found)


def test_groups_of_equal_size() -> None:
    with pytest.raises(ValueError, match=r"search\.num_groups: 4; expected a divisor of search\.width, 6"):
        search_of("diverse_beam", num_groups=4)
