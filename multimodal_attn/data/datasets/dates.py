"""Dates as people write them, to be written as year, month and day: a demonstration on text without a download.

    Monday, 3 March 2008            2008 03 03
    the third of Mar 2008           2008 03 03
    3 / 15 / 2008                   2008 03 15

The parts change places, months have names, and three words of the source at most matter: which, is known of every word.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from random import Random

from multimodal_attn.data.datasets.base import Dataset, Entry, Split, number_of_examples
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.ranges import Count, Seed
from multimodal_attn.types import Target

YEARS = (1900, 2099)
MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_ONES = "first second third fourth fifth sixth seventh eighth ninth".split()
_TEENS = "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split()
ORDINALS = [*_ONES, *_TEENS, "twentieth", *(f"twenty-{one}" for one in _ONES), "thirtieth", "thirty-first"]
# Words in capitals are filled in. Dots stand after the day first, slashes after the month first, as in use.
TEMPLATES = (
    "DAY MONTH YEAR",
    "MONTH DAY, YEAR",
    "WEEKDAY, DAY MONTH YEAR",
    "WEEKDAY, MONTH NTH, YEAR",
    "the ORDINAL of MONTH YEAR",
    "MONTH the ORDINAL, YEAR",
    "YEAR, MONTH NTH",
    "in YEAR, on WEEKDAY, the NTH of MONTH",
    "on the ORDINAL of MONTH in the year YEAR",
    "DAY. NUMBER. YEAR",
    "NUMBER / DAY / YEAR",
)
_PART = {"YEAR": 0, "MONTH": 1, "NUMBER": 1, "DAY": 2, "NTH": 2, "ORDINAL": 2}
_HELD_OUT = {"val": 8, "test": 9}
"""Of every ten days in a row, those that validation and test have for themselves."""


class Dates(Dataset):
    """Pairs that are made from nothing but the seed, the split and the index.

    Args:
        split: "train", "val" or "test"; no day is in two of them.
        num_examples: of this split, or a number for each split.
        seed: of all pairs.

    Raises:
        ValueError: if there is no number for the split.
    """

    def __init__(self, split: Split, num_examples: Count | Mapping[Split, Count], seed: Seed = 0) -> None:
        number = number_of_examples(split, num_examples)
        pairs = [_pair(Random(f"{seed}-{split}-{index}"), split) for index in range(number)]
        self._sources = [source for source, _ in pairs]
        entries = [Entry(f"{n:05d}", (target,), len(source)) for n, (source, target) in enumerate(pairs)]
        super().__init__(TextReader(), entries)

    def read(self, index: int) -> str:
        return self._sources[index]


def _pair(random: Random, split: str) -> tuple[str, Target]:
    first, last = date(YEARS[0], 1, 1).toordinal(), date(YEARS[1], 12, 31).toordinal()
    while True:
        day = random.randint(first, last)
        if (day % 10 if day % 10 in _HELD_OUT.values() else None) == _HELD_OUT.get(split):
            break
    when = date.fromordinal(day)
    month = random.choice([MONTHS[when.month - 1], MONTHS[when.month - 1][:3]])
    written = {
        "YEAR": str(when.year),
        "MONTH": month,
        "NUMBER": str(when.month),
        "DAY": str(when.day),
        "NTH": _nth(when.day),
        "ORDINAL": ORDINALS[when.day - 1],
        "WEEKDAY": WEEKDAYS[when.weekday()],
    }
    words: list[str] = []
    read_from: dict[int, tuple[int, ...]] = {}
    for place, slot in enumerate(random.choice(TEMPLATES).split()):
        name = slot.rstrip(",.")
        words.append(written.get(name, name) + slot[len(name) :])
        if name in _PART:
            read_from[_PART[name]] = (place,)
    return " ".join(words), Target(f"{when.year} {when.month:02d} {when.day:02d}", read_from=read_from)


def _nth(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 != 1 else "th"
    return f"{number}{ending}"
