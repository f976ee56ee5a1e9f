from __future__ import annotations

import json
from functools import cache
from math import exp
from pathlib import Path

import numpy as np
import pytest

from multimodal_attn.evaluation.texts.bleu import Bleu
from multimodal_attn.evaluation.texts.captions import CaptionScores
from multimodal_attn.evaluation.texts.cider import CiderD
from multimodal_attn.evaluation.texts.ptb import ptb_tokenize
from multimodal_attn.evaluation.texts.rouge import RougeL

MEASURES = ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d"]
SETS = ["mixed", "empty", "exact", "one source"]


@cache
def fixture() -> dict:
    return json.loads(Path(__file__).with_name("caption_fixture.json").read_text(encoding="utf-8"))


def fixture_set(name: str) -> tuple[list[str], list[list[str]], dict[str, list[float]]]:
    chosen = fixture()["sets"][name]
    return [pair[0] for pair in chosen["pairs"]], [pair[1:] for pair in chosen["pairs"]], chosen["scores"]


def test_fixture_is_large_and_nasty() -> None:
    hypotheses, references, _ = fixture_set("mixed")
    assert len(hypotheses) >= 500
    assert "" in hypotheses
    assert any(len(texts) == 1 for texts in references)
    assert any(len(texts) == 5 for texts in references)
    given = {text for texts in references for text in texts}
    for odd in ("", "kite", "zorb quux frell blivet", "...", "!!! ???", "赤い 凧 が 空 に ある", "a kite 🪁 flies"):
        assert odd in hypotheses
        assert odd in given


def test_tokens_equal_the_reference_tokenizers() -> None:
    pairs = [text for name in SETS for pair in fixture()["sets"][name]["pairs"] for text in pair]
    expected = {text: fixture()["tokens"].get(text, text) for text in pairs}
    assert {text: ptb_tokenize(text) for text in expected} == expected


@pytest.mark.parametrize("name", SETS)
def test_scores_of_a_set_equal_the_reference_scorers(name: str) -> None:
    hypotheses, references, expected = fixture_set(name)
    scores = CaptionScores()(hypotheses, references)
    assert list(scores) == MEASURES
    assert scores == pytest.approx({measure: expected[measure][0] for measure in MEASURES}, abs=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_scores_of_each_caption_equal_the_reference_scorers(name: str) -> None:
    hypotheses, references, expected = fixture_set(name)
    written = [ptb_tokenize(text) for text in hypotheses]
    truth = [[ptb_tokenize(text) for text in texts] for texts in references]
    found = {"rouge_l": RougeL(truth)(written), "cider_d": CiderD(truth)(written)}
    bleu = np.stack([Bleu([texts])([text]) for text, texts in zip(written, truth, strict=True)])
    found |= {f"bleu_{order + 1}": bleu[:, order] for order in range(4)}
    for measure in MEASURES:
        np.testing.assert_allclose(found[measure], expected[measure][1:], rtol=0, atol=1e-6, err_msg=measure)


def test_bleu_by_hand() -> None:
    # Three of four words and one of three pairs match; the closest reference is one word longer.
    scores = CaptionScores()(["a red kite there"], [["a red hat and kite", "one two three four five six seven"]])
    assert scores["bleu_1"] == pytest.approx(3 / 4 * exp(1 - 5 / 4))
    assert scores["bleu_2"] == pytest.approx((3 / 4 * 1 / 3) ** 0.5 * exp(1 - 5 / 4))


def test_rouge_by_hand() -> None:
    # Longest common subsequence "a kite flies": precision 3/4, recall 3/5.
    scores = CaptionScores()(["a blue kite flies"], [["a red kite sometimes flies"]])
    assert scores["rouge_l"] == pytest.approx((1 + 1.44) * 0.75 * 0.6 / (0.6 + 1.44 * 0.75))


def test_cider_by_hand() -> None:
    # Each word is used for one of two sources: cosine 1 where order 1 alone exists, and 0 at the other orders.
    np.testing.assert_allclose(CiderD([["kite"], ["teapot"]])(["kite", "robot"]), [10 / 4, 0])


def test_both_sides_are_tokenized() -> None:
    assert CaptionScores()(["A kite, on a roof!"], [["a kite on a roof ."]])["bleu_4"] == pytest.approx(1)


def test_changed_references_are_noticed() -> None:
    scores, references = CaptionScores(), [["a red kite"], ["a green teapot"]]
    hypotheses = ["a red kite", "a green teapot"]
    before = scores(hypotheses, references)
    references[1][0] = "two ladders"
    after = scores(hypotheses, references)
    assert after == CaptionScores()(hypotheses, references)
    assert after["bleu_1"] < before["bleu_1"]
    assert scores(["a red kite"], references[:1]) == CaptionScores()(["a red kite"], references[:1])


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "no hypothesis"),
        (["a"], [["a"], ["b"]], "1 hypotheses, but references of 2"),
        (["a", "b"], [["a"], []], "source 1 has no reference"),
    ],
)
def test_what_cannot_be_scored_is_named(hypotheses: list[str], references: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CaptionScores()(hypotheses, references)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A man's dog isn't here.", "a man 's dog is n't here"),
        ("She cannot fly; they're gonna!", "she can not fly they 're gon na"),
        ("a (big) dog", "a -lrb- big -rrb- dog"),
        ("well-known T-shirts at 3:45 p.m.", "well-known t-shirts at 3:45 p.m."),
        ("'tis St. Bernard's", "'t is st. bernard 's"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_tokens_by_hand(text: str, tokens: str) -> None:
    assert ptb_tokenize(text) == tokens
