"""Summaries without a model: sentences or turns of the source, taken as they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from multimodal_attn.evaluation.texts.any_script import words

_TURN = re.compile(r"(?=#\w+#\s*:)")
_NAMED = re.compile(r"(^\s*|[^\w\s:,;'-]\s+)?([\w'-]+)\s*:\s")  # a speaker, or another word before a colon
SENTENCE = re.compile(r"(?<=[.!?\u3002\u061f\u06d4\u0964])\s+")  # also of Chinese, Arabic, Urdu and Hindi
_MOST = 3  # sentences of an extract


def parts(source: str) -> list[str]:
    """The turns of a dialogue, else the sentences of a text.

    A dialogue has its speakers between hashes and before a colon, or begins with a name and a colon. The names of other
    speakers then stand behind a mark that ends a turn, or before a colon several times.
    """
    turns = _TURN.split(source)
    if len(turns) <= 2 and _NAMED.match(source):
        named = _NAMED.findall(source)
        often = Counter(name for _, name in named)
        speakers = {re.escape(name) for mark, name in named if mark or often[name] > 1 or name == named[0][1]}
        turns = re.split(rf"(?<!\S)(?=(?:{'|'.join(speakers)})\s*:\s)", source)
    found = turns if len(turns) > 2 else SENTENCE.split(source)
    return [part.strip() for part in found if part.strip()]


def first_three(source: str, references: Sequence[str]) -> str:
    """The first three turns or sentences: the usual baseline of summarization."""
    return " ".join(parts(source)[:_MOST])


def longest(source: str, references: Sequence[str]) -> str:
    """The longest turn or sentence, by words."""
    return max(parts(source), key=lambda part: len(part.split()), default="")


def oracle(source: str, references: Sequence[str]) -> str:
    """The three turns or sentences at most that share most with the first reference: what no extract much exceeds.

    Taken one after the other while the sum of the F-measures of words and pairs of words grows (Nallapati et al. 2017,
    section 3); they stand in the order of the source.
    """
    found, wanted = parts(source), _counts(references[0])
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < _MOST:
        scores = {
            index: _f_measures(_counts(" ".join(found[i] for i in sorted([*chosen, index]))), wanted)
            for index in range(len(found))
            if index not in chosen
        }
        index = max(scores, key=lambda i: scores[i], default=None)
        if index is None or scores[index] <= best:
            break
        best = scores[index]
        chosen.append(index)
    return " ".join(found[i] for i in sorted(chosen))


BASELINES: dict[str, Callable[[str, Sequence[str]], str]] = {
    "first": first_three,
    "longest": longest,
    "oracle": oracle,
}


def _counts(text: str) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    found = words(text)
    return Counter(zip(found)), Counter(pairwise(found))


def _f_measures(found: tuple[Counter[tuple[str, ...]], ...], wanted: tuple[Counter[tuple[str, ...]], ...]) -> float:
    total = 0.0
    for one, other in zip(found, wanted, strict=True):
        number = one.total() + other.total()
        total += 2 * (one & other).total() / number if number else 0.0
    return total
