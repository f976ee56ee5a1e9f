from __future__ import annotations

import re
from random import Random

import pytest

from multimodal_attn.data.datasets.text import Texts
from multimodal_attn.data.loading.build import build_data
from multimodal_attn.data.loading.corrupted_spans import SENTINELS, CorruptedSpans
from multimodal_attn.data.loading.selection import Selection
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.types import UnreadableError

LONG = " ".join(f"w{number}" for number in range(400))


def restored(read: str, written: str) -> str:
    """The text that both sides of a pair are of."""
    spans = dict(re.findall(f"([{''.join(SENTINELS)}])([^{''.join(SENTINELS)}]*)", written))
    return " ".join(" ".join(spans[word].split() if word in spans else [word]) for word in read.split())


@pytest.mark.parametrize("text", ["a b", "a b c d e f g", LONG])
def test_both_sides_together_are_the_text(text: str) -> None:
    data = CorruptedSpans(Texts([text]))
    seen = set()
    for epoch in range(20):
        example = data.in_epoch(0, epoch)
        seen.add(example.source)
        assert restored(str(example.source), example.targets[0].text) == text
        signs = [word for word in str(example.source).split() if word in SENTINELS]
        assert signs == list(SENTINELS[: len(signs)])
        assert not re.search(f"[{''.join(SENTINELS)}] [{''.join(SENTINELS)}]", str(example.source))
    assert len(seen) >= (2 if text == "a b" else 6)


def test_share_and_length_of_spans_are_as_told() -> None:
    missing, spans = [], []
    data = CorruptedSpans(Texts([LONG]), share=0.15, mean_span_words=3)
    for epoch in range(20):
        written = data.in_epoch(0, epoch).targets[0].text.split()
        spans.append(sum(word in SENTINELS for word in written))
        missing.append(len(written) - spans[-1])
    assert set(missing) == {60}
    assert set(spans) == {20}


def test_spans_reach_both_ends_and_the_middle() -> None:
    data = CorruptedSpans(Texts([" ".join("abcdefghij")]), share=0.2, mean_span_words=2)
    starts = [str(data.in_epoch(0, epoch).source).split().index(SENTINELS[0]) for epoch in range(200)]
    assert set(starts) == set(range(9))


def test_a_very_long_text_has_no_more_spans_than_there_are_signs() -> None:
    text = " ".join(Random(0).choices("abcdef", k=3000))
    example = CorruptedSpans(Texts([text]), share=0.5, mean_span_words=3).in_epoch(0, 0)
    assert restored(str(example.source), example.targets[0].text) == text
    assert str(example.source).split().count(SENTINELS[-1]) == 1


def test_an_epoch_draws_the_same_again_and_others_in_the_next() -> None:
    first, again = (CorruptedSpans(Texts([LONG, "a b c d"]), seed=3) for _ in range(2))
    assert first.in_epoch(0, 5) == again.in_epoch(0, 5)
    assert first.in_epoch(0, 5) != first.in_epoch(0, 6)
    assert first[0] == first[0] == first.in_epoch(0, 0)  # as validation takes it
    assert CorruptedSpans(Texts([LONG]), seed=4).in_epoch(0, 5) != first.in_epoch(0, 5)
    chosen = Selection(first, {0: "not this one"})
    assert chosen.in_epoch(0, 5) == first.in_epoch(1, 5)


def test_single_words_are_listed_and_nothing_else_is_an_error() -> None:
    data = CorruptedSpans(Texts(["one", "two words"], [UnreadableError("x", "broken")]))
    assert [str(error) for error in data.skipped][1:] == ["0: a single word, 'one': nothing is left when it is missing"]
    assert len(data) == 1
    with pytest.raises(ValueError, match=r"data.corrupted_share: no text has two words"):
        CorruptedSpans(Texts(["one"]))


def test_both_vocabularies_are_one_and_know_every_sign() -> None:
    node = {
        "_target_": "multimodal_attn.data.datasets.dates.Dates",
        "num_examples": {"train": 20, "val": 5, "test": 5},
        "texts": "all",
        "corrupted_share": 0.3,
    }
    data = build_data(node, WordTokenizer(2), WordTokenizer(2))
    data.fit_tokenizers()
    assert data.source_tokenizer is not None
    assert data.tokenizer.state() == data.source_tokenizer.state()
    assert data.tokenizer.unk_id not in data.tokenizer.encode(" ".join(SENTINELS))
    assert len(data.source("train")) == 40 - len(data.source("train").skipped)
    batch = next(iter(data.loader("val")))
    assert SENTINELS[0] in batch.source_texts[0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"corrupted_share": 0.15}, r"data.corrupted_share: 0.15 of which texts\?"),
        ({"texts": "none"}, r"data.texts: 'none'; expected"),
        ({"texts": "all", "corrupted_share": 2}, r"data.corrupted_share: 2; expected at most 1"),
        ({"texts": "all", "mean_span_words": 0}, r"data.mean_span_words: 0; expected more than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], expected: str) -> None:
    node = {"_target_": "multimodal_attn.data.datasets.dates.Dates", "num_examples": 5, **settings}
    with pytest.raises(ValueError, match=expected):
        build_data(node, WordTokenizer())


def test_texts_of_a_data_set_are_those_of_the_side_that_is_asked_for() -> None:
    node = {"_target_": "multimodal_attn.data.datasets.dates.Dates", "num_examples": 5}
    pairs = build_data(node, WordTokenizer()).source("val")
    read, written = pairs.source_texts(), pairs.texts()
    for side, expected in (("source", read), ("target", written), ("all", [*read, *written])):
        assert build_data({**node, "texts": side}, WordTokenizer()).source("val").texts() == expected
    only_written = Texts(["a", "b"])
    assert Texts.of(only_written, "source").texts() == ["a", "b"]
