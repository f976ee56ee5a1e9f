"""Scores of summaries."""

from __future__ import annotations

import pytest

from multimodal_attn.evaluation.bootstrap import intervals
from multimodal_attn.evaluation.statistics import figures_of
from multimodal_attn.evaluation.texts.extraction import first_three, longest, oracle, parts
from multimodal_attn.evaluation.texts.summaries import SummaryScores

SOURCE = "the sun shone . Rex slept all day . Ida bought a red ball ! nobody saw it . it rained"


def test_rouge_is_what_rouge_score_prints() -> None:
    """By hand: of stemmed words 3 of 4 and 3 of 5 match, of pairs 1 of 3 and 1 of 4."""
    found = SummaryScores()(["Dogs playing with balls"], [["dog plays a red ball"]])
    assert found["rouge1"] == pytest.approx(2 * 3 / (4 + 5))
    assert found["rouge2"] == pytest.approx(2 * 1 / (3 + 4))
    assert found["rougel"] == pytest.approx(2 * 3 / (4 + 5))
    assert found["exact"] == 0
    assert found["summary_ratio"] == pytest.approx(4 / 5)


def test_words_of_all_scripts_count() -> None:
    for text, reference, share in (("кошка спит .", "кошка бежит .", 1 / 2), ("Äpfel fallen", "äpfel fallend", 1 / 2)):
        assert SummaryScores()([text], [[reference]])["rouge1"] == pytest.approx(share)
    assert SummaryScores()(["हिन्दी में 中文 مرحبا"], [["हिन्दी 中文"]])["rouge1"] == pytest.approx(2 * 2 / (4 + 2))
    assert SummaryScores()(["cafés and dogs"], [["cafés dog"]])["rouge1"] == pytest.approx(2 * 2 / (3 + 2))
    assert oracle("кошка спит . собака бежит .", ["собака"]) == "собака бежит ."


def test_sentences_count_one_by_one() -> None:
    """Their order matters to ROUGE-L, not to ROUGE-Lsum."""
    found = SummaryScores()(["it rained . we slept"], [["we slept . it rained ."]])
    assert found["rougel"] == pytest.approx(1 / 2)
    assert found["rougelsum"] == 1


def test_the_best_reference_counts() -> None:
    found = SummaryScores()(["a b", "c"], [["x", "a b"], ["c", "c d e"]])
    assert (found["rouge1"], found["exact"]) == (1.0, 1.0)
    assert found["summary_ratio"] == pytest.approx(3 / (1.5 + 2))


def test_what_is_new_and_what_repeats() -> None:
    texts, references = ["Rex slept well", "a b c a b c"], [["Rex slept"], ["z"]]
    statistics = SummaryScores().source_statistics(texts, references, [SOURCE, "a b c"])
    found = figures_of(statistics, 2)
    assert found["novel_1grams"] == pytest.approx(1 / 6)  # "well", of Rex slept well a b c
    assert found["novel_2grams"] == pytest.approx(2 / 5)
    assert found["novel_1grams_references"] == pytest.approx(1 / 3)
    assert found["repeated_3grams"] == pytest.approx((0 + 1 / 4) / 2)
    low, high = intervals(statistics, 2)["novel_1grams"]  # of each text alone: 0 of 3 and 1 of 3
    assert (low, high) == (0.0, pytest.approx(1 / 3))


def test_extracts() -> None:
    assert parts(SOURCE)[1] == "Rex slept all day ."
    turns = "#person1# : hi . how are you ? #person2# : fine . #person1# : good ."
    assert parts(turns) == ["#person1# : hi . how are you ?", "#person2# : fine .", "#person1# : good ."]
    named = "ann : is this : a joke ? tom : no , mind : it is late ann : ok"
    assert parts(named) == ["ann : is this : a joke ?", "tom : no , mind : it is late", "ann : ok"]
    assert parts("paris : it rained . it snowed . he left .") == ["paris : it rained .", "it snowed .", "he left ."]
    assert first_three(SOURCE, []) == "the sun shone . Rex slept all day . Ida bought a red ball !"
    assert longest(SOURCE, []) == "Ida bought a red ball !"
    assert oracle(SOURCE, ["Ida bought a ball and it rained"]) == "Ida bought a red ball ! it rained"
    assert parts("कैसे हो ? राम आया । 很 好 。 bye .") == ["कैसे हो ?", "राम आया ।", "很 好 。", "bye ."]
    assert (parts(""), longest("", []), oracle("", ["x"])) == ([], "", "")


def test_extracts_are_scored_beside_the_model() -> None:
    found = figures_of(SummaryScores().source_statistics(["x"], [["Rex slept all day"]], [SOURCE]), 1)
    assert found["rouge1_oracle"] == 1.0
    assert found["rouge1_oracle"] > found["rouge1_first"] > found["rouge1_longest"] == 0
