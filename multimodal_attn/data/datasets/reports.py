"""Short reports of made-up events, to be summed up in a line: a demonstration of copying without a download.

    the market in Lobane opens on friday . on monday Tikoro came across seven coins in Vasume . Derilu was not there .
    Tikoro found 7 coins in Vasume on monday

Who and where are names that no other report has, so that they must be copied; the verb and the number are inferred; and
other sentences have names, days and numbers of their own. For every word that says something it is known where it comes
from.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated

from annotated_types import Ge, Le

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries, Split, number_of_examples
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.data.reading.files import digest
from multimodal_attn.ranges import Count, Seed
from multimodal_attn.types import Target

DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
NUMBERS = "two three four five six seven eight nine ten eleven twelve".split()
THINGS = "coins bicycles paintings bottles horses letters violins lamps".split()
# How the report says what was done -> how the summary does.
VERBS = {
    "came across": "found",
    "discovered": "found",
    "made off with": "stole",
    "took away": "stole",
    "paid for": "bought",
    "acquired": "bought",
    "parted with": "sold",
    "got rid of": "sold",
    "put together": "mended",
    "repaired": "mended",
}
# Words in capitals are filled in: WHO and WHERE, WHAT was done to HOW_MANY THINGS, and WHEN.
EVENTS = (
    "on WHEN WHO WHAT HOW_MANY THINGS in WHERE .",
    "in WHERE , WHO WHAT HOW_MANY THINGS on WHEN .",
    "it was WHO who WHAT HOW_MANY THINGS on WHEN in WHERE .",
    "last WHEN in WHERE HOW_MANY THINGS were there , and WHO WHAT them .",
)
DISTRACTORS = (
    "the market in WHERE opens on WHEN .",
    "WHO of WHERE was not there .",
    "WHO , who has HOW_MANY THINGS , heard of it on WHEN .",
    "it had rained in WHERE since WHEN .",
    "nobody told WHO before WHEN .",
    "WHO asks HOW_MANY neighbors about the THINGS .",
)
WORDINGS = (
    "WHO WHAT HOW_MANY THINGS in WHERE on WHEN",
    "on WHEN WHO WHAT HOW_MANY THINGS in WHERE",
    "in WHERE WHO WHAT HOW_MANY THINGS on WHEN",
)
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_TENTH: dict[Split, tuple[int, ...]] = {"train": tuple(range(8)), "val": (8,), "test": (9,)}
"""Of the names, by a digest of each: no name is in two splits."""


class Reports(Dataset):
    """Reports with three summaries each, made from nothing but the seed, the split and the index.

    Args:
        split: "train", "val" or "test"; no name is in two of them.
        num_examples: of this split, or a number for each split.
        num_distractors: the most sentences of a report that its summary does not speak of.
        seed: of all reports.

    Raises:
        ValueError: if there is no number for the split.
    """

    def __init__(
        self,
        split: Split,
        num_examples: Count | Mapping[Split, Count],
        num_distractors: Annotated[int, Ge(1), Le(len(DISTRACTORS))] = 3,
        seed: Seed = 0,
    ) -> None:
        number = number_of_examples(split, num_examples)
        self._pairs = [_pair(Random(f"{seed}-{split}-{index}"), split, num_distractors) for index in range(number)]
        super().__init__(TextReader(), LazyEntries(number, self._entry))

    def _entry(self, index: int) -> Entry:
        source, targets = self._pairs[index]
        return Entry(f"{index:05d}", targets, len(source))

    def read(self, index: int) -> str:
        return self._pairs[index][0]


def _pair(random: Random, split: Split, most: int) -> tuple[str, tuple[Target, ...]]:
    """A report and its summaries."""
    event, used = random.choice(EVENTS), set[str]()
    facts = _facts(random, split, used)
    sentences = [(form, _facts(random, split, used)) for form in random.sample(DISTRACTORS, random.randint(1, most))]
    place = random.randint(0, len(sentences))
    sentences.insert(place, (event, facts))
    words: list[str] = []
    found: dict[str, tuple[int, ...]] = {}
    for number, (form, filled) in enumerate(sentences):
        for slot in form.split():
            said = filled.get(slot, slot).split()
            if number == place and slot in filled:
                found[slot] = tuple(range(len(words), len(words) + len(said)))
            words += said
    summed_up = facts | {"WHAT": VERBS[facts["WHAT"]], "HOW_MANY": str(NUMBERS.index(facts["HOW_MANY"]) + 2)}
    targets = []
    for wording in WORDINGS:
        slots = wording.split()
        text = " ".join(summed_up.get(slot, slot) for slot in slots)
        read_from = {i: found[slot] for i, slot in enumerate(slots) if slot in found}
        names = tuple(facts[slot] for slot in slots if slot in ("WHO", "WHERE"))
        targets.append(Target(text, read_from=read_from, names=names))
    return " ".join(words), tuple(targets)


def _facts(random: Random, split: Split, used: set[str]) -> dict[str, str]:
    """What fills the slots of a sentence; ``used`` holds the names of the report so far."""
    return {
        "WHO": _name(random, split, used),
        "WHERE": _name(random, split, used),
        "WHAT": random.choice(list(VERBS)),
        "HOW_MANY": random.choice(NUMBERS),
        "THINGS": random.choice(THINGS),
        "WHEN": random.choice(DAYS),
    }


def _name(random: Random, split: Split, used: set[str]) -> str:
    while True:
        syllables = (random.choice(_CONSONANTS) + random.choice(_VOWELS) for _ in range(random.choice((3, 4))))
        name = "".join(syllables).capitalize()
        if name not in used and digest(name)[0] % 10 in _TENTH[split]:
            used.add(name)
            return name
