from __future__ import annotations

import pytest

from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.prediction.times.word_alignment import align_words


def test_rates_by_hand() -> None:
    scores = TranscriptScores()(["set white at", "bin blue blue now"], [["set red at two"], ["bin blue now"]])
    # One substitution and one deletion in the first, one insertion in the second, over seven words.
    assert scores["substitutions"] == pytest.approx(1 / 7)
    assert scores["deletions"] == pytest.approx(1 / 7)
    assert scores["insertions"] == pytest.approx(1 / 7)
    assert scores["wer"] == pytest.approx(3 / 7)


def test_characters_include_spaces() -> None:
    assert TranscriptScores()(["abcd"], [["ab cd"]])["cer"] == pytest.approx(1 / 5)


def test_rates_are_over_the_set_not_means_of_utterances() -> None:
    assert TranscriptScores()(["x", "a b c d e f g h i"], [["a"], ["a b c d e f g h i"]])["wer"] == pytest.approx(
        1 / 10
    )


def test_empty_texts() -> None:
    scores = TranscriptScores()(["", "two words", ""], [["a b"], [""], [""]])
    assert scores["deletions"] == 1
    assert scores["insertions"] == 1
    assert scores["wer"] == 2
    assert scores["cer"] == pytest.approx((3 + 9) / 3)


def test_no_reference_word_at_all() -> None:
    scores = TranscriptScores()(["a b", ""], [[""], [""]])
    assert scores == {"wer": 2, "cer": 3, "substitutions": 0, "deletions": 0, "insertions": 2}
    assert set(TranscriptScores()([""], [[""]]).values()) == {0}


def test_spaces_do_not_count() -> None:
    assert TranscriptScores()(["  a   b "], [["a b"]])["cer"] == 0


def test_the_first_reference_counts() -> None:
    assert TranscriptScores()(["a"], [["b", "a"]])["wer"] == 1


def test_what_cannot_be_scored_is_named() -> None:
    with pytest.raises(ValueError, match="no hypothesis"):
        TranscriptScores()([], [])
    with pytest.raises(ValueError, match="source 0 has no reference"):
        TranscriptScores()(["a"], [[]])


@pytest.mark.parametrize(
    ("hypothesis", "reference", "pairs"),
    [
        ("a b c", "a b c", [(0, 0), (1, 1), (2, 2)]),
        ("a x c", "a b c", [(0, 0), (1, 1), (2, 2)]),
        ("b c", "a b c", [(None, 0), (0, 1), (1, 2)]),
        ("a b z c", "a b c", [(0, 0), (1, 1), (2, None), (3, 2)]),
        ("", "a b", [(None, 0), (None, 1)]),
        ("a b", "", [(0, None), (1, None)]),
        ("", "", []),
    ],
)
def test_alignment(hypothesis: str, reference: str, pairs: list[tuple[int | None, int | None]]) -> None:
    assert align_words(hypothesis.split(), reference.split()) == pairs
