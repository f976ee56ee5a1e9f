from __future__ import annotations

import pytest

from multimodal_attn.data.reading.text import normalize_caption, normalize_transcript


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("A man's dog , in a T-shirt , jumps .", "a mans dog in a t shirt jumps"),
        ("Two\tgirls  \n  run!!", "two girls run"),
        ("3 men (one \u201cdrunk\u201d) & 2 dogs", "3 men one drunk 2 dogs"),
        ("Ein M\u00e4dchen l\u00e4uft.", "ein m\u00e4dchen l\u00e4uft"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940!", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        (" . , ", ""),
    ],
)
def test_caption_keeps_only_words(raw: str, expected: str) -> None:
    assert normalize_caption(raw) == expected


def test_caption_pieces_keep_the_count_of_words() -> None:
    raw = "The dog 's red-and-white ball , over there !"
    assert normalize_caption(raw).split() == [w for piece in raw.split() for w in normalize_caption(piece).split()]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("DON'T STOP", "don't stop"),
        ("It\u2019s the boys\u2019 turn.", "it's the boys' turn"),
        ("He said \u2018hello\u2019 , twice", "he said hello twice"),
        ("wait - ' - for 2 o'clock\u2026", "wait for 2 o'clock"),
        ("well-known, \u201cquoted\u201d", "well known quoted"),
    ],
)
def test_transcript_keeps_apostrophes_of_words(raw: str, expected: str) -> None:
    assert normalize_transcript(raw) == expected


@pytest.mark.parametrize("normalize", [normalize_caption, normalize_transcript])
def test_normalising_twice_changes_nothing(normalize: object) -> None:
    once = normalize("It\u2019s A  \u2018mixed\u2019 \u00bd-text \u2013 isn't it?")
    assert normalize(once) == once
