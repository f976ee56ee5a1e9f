"""Dates as people write them."""

from __future__ import annotations

import re
from datetime import date

import pytest

from multimodal_attn.data.datasets.dates import MONTHS, ORDINALS, TEMPLATES, WEEKDAYS, Dates, _nth

NUMBERS = {name: index for index, name in enumerate(ORDINALS, start=1)}
NUMBERS |= {name[:3]: index for index, name in enumerate(MONTHS, start=1)}
NUMBERS |= {_nth(number): number for number in range(1, 32)}


def number(word: str) -> int:
    bare = word.rstrip(",.")
    return NUMBERS.get(bare) or NUMBERS.get(bare[:3]) or int(bare)


def test_the_named_words_say_what_is_to_be_written() -> None:
    data = Dates("train", 300)
    for example in (data[index] for index in range(len(data))):
        (target,) = example.targets
        words = str(example.source).split()
        assert set(target.read_from) == {0, 1, 2}
        for index, written in enumerate(target.text.split()):
            (place,) = target.read_from[index]
            assert number(words[place]) == int(written)
        when = date(*map(int, target.text.split()))
        named = [word.rstrip(",") for word in words if word.rstrip(",") in WEEKDAYS]
        assert named in ([], [WEEKDAYS[when.weekday()]])
    assert re.fullmatch(r"\d{4} \d{2} \d{2}", data.texts()[0])


def test_every_form_is_met() -> None:
    forms = {len(text.split()) for text in Dates("train", 300).source_texts()}
    assert forms == {len(template.split()) for template in TEMPLATES}
    assert len(ORDINALS) == 31
    assert [_nth(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)] == (
        "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 31st".split()
    )


def test_no_day_is_in_two_splits_and_a_seed_gives_the_same() -> None:
    days = {split: set(Dates(split, 2000).texts()) for split in ("train", "val", "test")}
    assert not days["train"] & days["val"]
    assert not days["train"] & days["test"]
    assert not days["val"] & days["test"]
    assert Dates("train", 50).source_texts() == Dates("train", 60).source_texts()[:50]
    assert Dates("train", 50, seed=1).source_texts() != Dates("train", 50).source_texts()


def test_numbers_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match=r"data\.num_examples: no number for val"):
        Dates("val", {"train": 3})
