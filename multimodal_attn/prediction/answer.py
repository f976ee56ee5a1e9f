"""What a model wrote for a source, as JSON has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from multimodal_attn.prediction.word import Word


class Answer(Protocol):
    """What a ``Prediction`` has with torch, and an ``Output`` without it."""

    @property
    def text(self) -> str:
        """What was written."""

    @property
    def score(self) -> float:
        """What the search maximized."""

    @property
    def flags(self) -> list[str]:
        """Names of what looks wrong."""

    @property
    def words(self) -> list[Word]:
        """With their probabilities, maps and, for recordings, times."""

    @property
    def others(self) -> Sequence[Answer]:
        """What else the search found, best first."""


def as_object(found: Answer, maps: bool = False) -> dict[str, Any]:
    """The text with its words and score, and what else was found.

    Args:
        found: what a model wrote.
        maps: with where it looked for each word: rows of columns of a picture, else a weight for each position.
    """
    return {
        "text": found.text,
        "score": round(found.score, 4),
        "words": [_word(word, maps) for word in found.words],
        "flags": found.flags,
        "others": [{"text": other.text, "score": round(other.score, 4)} for other in found.others],
    }


def _word(word: Word, maps: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"text": word.text, "probability": round(word.probability, 4)}
    if word.confidence is not None:
        made["confidence"] = round(word.confidence, 4)
    if word.start is not None and word.end is not None:
        made |= {"start": round(word.start, 3), "end": round(word.end, 3)}
    if maps:
        made["map"] = word.map.astype(float).round(5).tolist()
    return made
