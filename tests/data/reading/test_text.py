from __future__ import annotations

from pathlib import Path

import pytest

from multimodal_attn.data.reading.text import (
    listed_lines,
    normalize_caption,
    normalize_spaced,
    normalize_transcript,
    read_lines,
    single_spaces,
)
from multimodal_attn.types import UnreadableError


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


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("I love \u2764\ufe0f dogs", "i love dogs"),
        ("\u2764\ufe0f", ""),
        ("1\ufe0f\u20e3 first", "1 first"),
        ("a woman \U0001f3c3\u200d\u2640\ufe0f runs", "a woman runs"),
        ("\u0645\u06cc\u200c\u0631\u0648\u0645", "\u0645\u06cc\u0631\u0648\u0645"),  # a Persian verb, one word
        ("\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u0dc1\u0dca\u0dbb\u0dd3"),
        ("co\u00adoperate", "cooperate"),
        ("super\u200bman", "super man"),  # the zero-width space does part words
        ("\u202b\u05e9\u05dc\u05d5\u05dd\u202c \u200f", "\u05e9\u05dc\u05d5\u05dd"),
        ("\ufeffhello wor\u2060ld", "hello world"),
        ("\u0130STANBUL \u0130yi", "istanbul iyi"),
        ("a \u0301 b", "a b"),
        ("a\u2028b\u0085c\u0000d", "a b c d"),
        ("half \ud83d dog", "half dog"),
    ],
)
@pytest.mark.parametrize("normalize", [normalize_caption, normalize_transcript])
def test_what_is_not_seen_is_no_word_and_parts_none(raw: str, expected: str, normalize: object) -> None:
    assert normalize(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("#Person1#: Mr. Brown's at 3:30.", "#person1# : mr . brown 's at 3:30 ."),
        ("नमस्ते दुनिया, कैसे हो?", "नमस्ते दुनिया , कैसे हो ?"),  # vowels are marks on letters
        ("مُحَمَّد يقول", "مُحَمَّد يقول"),
        ("Zoe\u0308, e\u0301te\u0301!", "zoë , été !"),
        ("a \u0301 b", "a \u0301 b"),  # a mark with nothing to stand on
    ],
)
def test_spaced_parts_marks_of_punctuation_from_words(raw: str, expected: str) -> None:
    assert normalize_spaced(raw) == expected


def test_single_spaces_drops_only_words_that_nobody_sees() -> None:
    assert single_spaces("  I \u200d love\tco\u00adoperation \ufe0f ! ") == "I love co\u00adoperation !"


def test_lines_break_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\u2028still one\r\ntwo\u0085still two\nthree\rstill three\n\n".encode())
    assert read_lines(path) == ["one\u2028still one", "two\u0085still two", "three\rstill three", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "one\ncaf\u00e9\n".encode("latin-1"),
            r"a.txt:2: is not UTF-8 \(byte 0xe9; is it Latin-1\?\); save it as UTF-8",
        ),
        ("one\n".encode("utf-16"), r"a.txt: is UTF-16; save it as UTF-8"),
        ("one\ntwo\n".encode("utf-16-le"), r"a.txt:1: has a NUL character; expected UTF-8 text"),
        (b"one\ntwo\n\0\n", r"a.txt:3: has a NUL character"),
    ],
)
def test_what_is_no_text_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UnreadableError, match=message):
        read_lines(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=r"data.root: '.*a.txt(:\d)?' .*; expected a poem"):
        listed_lines(tmp_path / "a.txt", "data.root", "a poem")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"data.root: '.*a.txt' cannot be read \(No such file or directory\); expected"
    ):
        listed_lines(tmp_path / "a.txt", "data.root", "a poem")
