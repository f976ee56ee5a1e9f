"""BLEU and chrF of translations."""

from __future__ import annotations

import math

import pytest
from sacrebleu.metrics.bleu import BLEU

from multimodal_attn.evaluation.texts.translations import TranslationScores


def test_perfect_translation_has_the_highest_scores() -> None:
    texts = ["A man sleeps on a couch.", "Two dogs run."]
    scores = TranslationScores()(texts, [[text] for text in texts])
    assert scores == pytest.approx({"bleu": 1, "chrf": 1, "length_ratio": 1})


def test_bleu_by_hand() -> None:
    """Of 7 tokens 6, of 6 pairs 4, of 5 triples 3, of 4 quadruples 2 stand in the reference, which is as long."""
    scores = TranslationScores()(["A man sleeps on a couch ."], [["A man sleeps on a sofa ."]])
    expected = math.exp(sum(map(math.log, (6 / 7, 4 / 6, 3 / 5, 2 / 4))) / 4)
    assert scores["bleu"] == pytest.approx(expected)
    assert scores["length_ratio"] == 1


def test_case_and_punctuation_count() -> None:
    reference = [["A man sleeps on a couch."]]
    exact, lower, bare = (
        TranslationScores()([text], reference)["bleu"]
        for text in (
            "A man sleeps on a couch.",
            "a man sleeps on a couch.",
            "A man sleeps on a couch",
        )
    )
    assert exact > max(lower, bare)


def test_more_references_never_harm() -> None:
    written = ["A man sleeps on a sofa .", "Two dogs run ."]
    one = [["A man sleeps on a couch ."], ["Two dogs are running ."]]
    two = [[*one[0], "A man sleeps on a sofa ."], [*one[1], "Two dogs run ."]]
    assert TranslationScores()(written, two)["bleu"] == pytest.approx(1)
    assert TranslationScores()(written, one)["bleu"] < 0.9


def test_short_texts_have_a_bleu_too() -> None:
    assert TranslationScores()(["one", "two three"], [["one"], ["two three"]])["bleu"] == pytest.approx(1)


def test_longer_texts_have_the_bleu_of_sacrebleus_own_settings() -> None:
    written, references = ["one", "two three", "a man sleeps on it"], [["one"], ["two"], ["a man sleeps on a couch"]]
    expected = BLEU().corpus_score(written, [[texts[0] for texts in references]]).score
    assert expected > 0
    assert TranslationScores()(written, references)["bleu"] == pytest.approx(expected / 100)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no hypothesis"):
        TranslationScores()([], [])
    with pytest.raises(ValueError, match="no reference"):
        TranslationScores()(["a"], [[]])
