"""Which boxes the words of a hypothesis speak of, as far as the references tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from multimodal_attn.types import Box, Target

_PHRASE_WORDS = 4
"""Before a noun, at most, that are compared: "the large red" and the preposition, not half of the sentence."""


class Thing(NamedTuple):
    """Something that a reference describes and that has boxes.

    Attributes:
        name: the word that has them.
        phrase: the words before it that describe it.
        boxes: of it.
    """

    name: str
    phrase: frozenset[str]
    boxes: tuple[Box, ...]


def things(targets: Sequence[Target]) -> list[list[Thing]]:
    """What each reference describes, in its order."""
    found = []
    for target in targets:
        words, places = target.text.split(), sorted(word for word, boxes in target.boxes.items() if boxes)
        phrases = _phrases(words, places)
        found.append([Thing(words[p], phrase, target.boxes[p]) for p, phrase in zip(places, phrases, strict=True)])
    return found


def true_boxes(words: list[str], targets: Sequence[Target]) -> dict[int, tuple[Box, ...]]:
    """The boxes of a hypothesis' words, by their phrases.

    A "star" gets the boxes of a star in one of the references. Of several stars it is the one whose phrase shares the
    most words with its own ("a small red" star), then the one that is named as the first. Two stars of a hypothesis
    are two of *one* reference: that in the next one is likely the same again. The reference whose phrases are most
    similar is taken, of equals the first.

    Args:
        words: of the hypothesis.
        targets: the references.

    Returns:
        Index of a word -> its boxes.
    """
    described = things(targets)
    names = {thing.name for reference in described for thing in reference}
    places = [index for index, word in enumerate(words) if word in names]
    phrases = dict(zip(places, _phrases(words, places), strict=True))
    found: dict[int, tuple[Box, ...]] = {}
    for name in dict.fromkeys(words[place] for place in places):
        own = [place for place in places if words[place] == name]
        matches = [
            _matched([phrases[place] for place in own], [thing for thing in reference if thing.name == name])
            for reference in described
        ]
        best = max(matches, key=lambda match: (len(match), sum(alike for _, alike in match.values())))
        found |= {own[number]: thing.boxes for number, (thing, _) in best.items()}
    return dict(sorted(found.items()))


def _matched(phrases: list[frozenset[str]], candidates: list[Thing]) -> dict[int, tuple[Thing, int]]:
    """Number of a phrase -> its thing and how many words they share: the most similar pairs first, each in one only."""
    pairs = product(range(len(phrases)), range(len(candidates)))
    ranked = sorted((-len(phrases[one] & candidates[other].phrase), one, other) for one, other in pairs)
    found: dict[int, tuple[Thing, int]] = {}
    taken: set[int] = set()
    for unlike, one, other in ranked:
        if one not in found and other not in taken:
            found[one] = candidates[other], -unlike
            taken.add(other)
    return found


def _phrases(words: list[str], places: list[int]) -> Iterator[frozenset[str]]:
    """The words before each of some places, back to the place before it."""
    before = -1
    for place in places:
        yield frozenset(words[max(before + 1, place - _PHRASE_WORDS) : place])
        before = place
