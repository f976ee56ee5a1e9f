from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import COPYING, Box, Example, Grid, Hypothesis, Span, Target, Timeline, TokenAxis

LEFT, RIGHT, LOW = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1), Box(0, 0.5, 1, 1)


def hypothesis(tokens: list[int], positions: int, heads: int = 2) -> Hypothesis:
    weights = torch.softmax(torch.randn(len(tokens), heads, positions), dim=-1)
    return Hypothesis(tokens, score=-0.5, log_probs=torch.zeros(len(tokens)), weights=weights)


def picture_record(text: str, *targets: Target) -> Prediction:
    tokenizer = WordTokenizer().fit(["a dog and another dog chase cat"])
    picture = torch.arange(3 * 4 * 6, dtype=torch.uint8).reshape(3, 4, 6)
    example = Example("photo", picture, targets)
    return Prediction.from_hypothesis(example, hypothesis(tokenizer.encode(text), 4), tokenizer, Grid(2, 2), 4)


def test_a_picture() -> None:
    record = picture_record("a dog", Target("a dog"), Target("another dog"))
    assert record.source.shape == (4, 6, 3)
    assert record.source[1, 2].tolist() == [8, 32, 56]  # one pixel's three channels
    assert record.tokens == ["a", "dog"]
    assert record.word_tokens == [("a", 0, 1), ("dog", 1, 2)]
    assert record.text == "a dog"
    assert record.references == ["a dog", "another dog"]
    assert (record.score, record.flags, record.boxes, record.times) == (-0.5, [], {}, {})


def test_a_recording_of_characters_without_padding() -> None:
    tokenizer = CharacterTokenizer().fit(["at two"])
    found = hypothesis(tokenizer.encode("at two"), 9)
    target = Target("at two", times=(Span(0.1, 0.2), Span(0.3, 0.6)))
    record = Prediction.from_hypothesis(
        Example("speech", torch.zeros(800), (target,)), found, tokenizer, Timeline(0.01), 7, sample_rate=8_000
    )
    assert record.source.shape == (800,)
    assert record.sample_rate == 8_000
    assert record.weights.shape == (6, 2, 7)
    assert record.weights.dtype == np.float32
    assert record.word_tokens == [("at", 0, 2), ("two", 3, 6)]
    assert record.times == {0: Span(0.1, 0.2), 1: Span(0.3, 0.6)}
    np.testing.assert_allclose(record.word_weights[1], found.weights[3:6, :, :7].mean((0, 1)), rtol=1e-5)


def test_an_empty_text_of_a_model_that_copies_has_copied_nothing() -> None:
    words = WordTokenizer().fit(["a dog"])
    found = Hypothesis([], 0.0, torch.zeros(0), torch.zeros(0, 1, 3), gate=[], gate_name=COPYING)
    record = Prediction.from_hypothesis(Example("text", "a dog", ()), found, words, TokenAxis(), 3, 0, words)
    assert (record.copied, record.words) == ([], [])


def test_times_follow_the_alignment_and_only_correct_words_have_them() -> None:
    tokenizer = WordTokenizer().fit(["bin red blue at two"])
    spans = tuple(Span(i, i + 1) for i in range(4))
    example = Example("speech", torch.zeros(800), (Target("bin red at two", times=spans),))
    found = hypothesis(tokenizer.encode("blue at two"), 5)
    record = Prediction.from_hypothesis(example, found, tokenizer, Timeline(0.01), 5)
    assert record.times == {1: spans[2], 2: spans[3]}


def test_boxes_come_from_the_same_word_of_any_target() -> None:
    targets = (Target("a dog", boxes={1: (LEFT,)}), Target("chase cat", boxes={1: (RIGHT, LOW)}))
    assert picture_record("another cat and dog", *targets).boxes == {1: (RIGHT, LOW), 3: (LEFT,)}


def test_repeated_words_use_each_box_once() -> None:
    two = Target("a dog and another dog", boxes={1: (LEFT,), 4: (RIGHT,)})
    one = Target("a dog", boxes={1: (LOW,)})
    assert picture_record("dog and dog and dog", two).boxes == {0: (LEFT,), 2: (RIGHT,)}
    # The first reference knows one dog: both come from the reference that has two.
    assert picture_record("dog and dog", one, two).boxes == {0: (LEFT,), 2: (RIGHT,)}
    assert picture_record("dog and dog", one, one).boxes == {0: (LOW,)}


def test_words_without_boxes_get_none() -> None:
    assert picture_record("a dog", Target("a dog", boxes={1: ()}), Target("a dog")).boxes == {}


def test_entropy_and_peak_of_words() -> None:
    record = picture_record("dog cat")
    record.weights = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]], [[0.25] * 4, [0.25] * 4]], dtype=np.float32)
    assert record.word_weights.tolist() == [[0.5, 0.5, 0, 0], [0.25] * 4]
    assert record.entropy == pytest.approx([0.5, 1])
    assert record.peak == pytest.approx([0.5, 0.25])


def test_an_empty_hypothesis() -> None:
    record = picture_record("", Target("a dog", boxes={1: (LEFT,)}))
    assert record.flags == ["empty"]
    assert record.word_weights.shape == (0, 4)
    assert record.entropy.shape == record.peak.shape == (0,)
    assert record.boxes == {}


def test_the_gate_of_a_word_is_the_mean_over_its_tokens() -> None:
    tokenizer = CharacterTokenizer().fit(["at two"])
    found = hypothesis(tokenizer.encode("at two"), 9)
    found.gate, found.gate_name = [0.2, 0.4, 0.9, 0.0, 0.5, 1.0], "beta"
    example = Example("speech", torch.zeros(800), (Target("at two"),))
    record = Prediction.from_hypothesis(example, found, tokenizer, Timeline(0.01), 7)
    assert (record.gate, record.gate_name) == (found.gate, "beta")
    assert record.word_gate == pytest.approx([0.3, 0.5])
    assert picture_record("a dog").word_gate == []


def test_a_text_knows_where_its_right_words_come_from() -> None:
    tokenizer, characters = WordTokenizer().fit(["red dog cat"]), CharacterTokenizer().fit(["der rote Hund"])
    target = Target("red dog", read_from={0: (1,), 1: (0, 2)})
    example = Example("1", "der rote Hund", (target,))
    record = Prediction.from_hypothesis(
        example, hypothesis(tokenizer.encode("cat dog"), 14), tokenizer, TokenAxis(), 14, source_tokenizer=characters
    )
    assert record.source.tolist() == [*"der\N{OPEN BOX}rote\N{OPEN BOX}Hund", "<eos>"]
    assert record.links == {1: ((0, 3), (9, 13))}


def test_a_word_that_is_read_as_unknown_is_shown() -> None:
    tokenizer, words = WordTokenizer().fit(["red dog"]), WordTokenizer().fit(["der Hund"])
    found = hypothesis(tokenizer.encode("red dog"), 4)
    example = Example("1", "der rote Hund", (Target("red dog"),))
    record = Prediction.from_hypothesis(example, found, tokenizer, TokenAxis(), 4, source_tokenizer=words)
    assert record.source.tolist() == ["der", "<unk: rote>", "Hund", "<eos>"]
