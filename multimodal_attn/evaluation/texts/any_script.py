"""Words of texts in any script, for rouge-score, which knows the letters a to z alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_IN_WORDS = "LNM"  # letters, numbers, and the marks that letters of some scripts carry


class AnyScript:
    """A tokenizer of rouge-score: texts of ASCII as its own has them, and whole words of other letters.

    Args:
        tokenize: rouge-score's own, from a text to its stemmed words.
    """

    def __init__(self, tokenize: Callable[[str], list[str]]) -> None:
        self._tokenize = tokenize

    def tokenize(self, text: str) -> list[str]:
        """The words of a text, in lower case; those of ASCII are stemmed."""
        if text.isascii():
            return self._tokenize(text)
        return [part for word in words(text) for part in (self._tokenize(word) if word.isascii() else [word])]


def words(text: str) -> list[str]:
    """Runs of letters and numbers of any script, in lower case."""
    return "".join(sign if unicodedata.category(sign)[0] in _IN_WORDS else " " for sign in text.lower()).split()
