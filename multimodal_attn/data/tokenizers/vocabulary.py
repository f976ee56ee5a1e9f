"""What token ids stand for: all that is needed to write a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Unit = Literal["word", "character", "piece"]
"""What a token is: a word, a character, or a piece of a word."""
SPECIAL_PIECES = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The pieces of ids 0 to 3 in every vocabulary."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a tokenizer, by their ids.

    Attributes:
        unit: what a token is.
        parts: what each token adds to a text; nothing for <pad>, <bos> and <eos>. A part that begins with a space
            begins a word.
        pieces: what to display for each token.
    """

    unit: Unit
    parts: tuple[str, ...]
    pieces: tuple[str, ...]

    def text(self, ids: Iterable[int]) -> str:
        """The text of token ids; spaces at its ends are there only where a space is a token by itself."""
        joined = "".join(self.parts[i] for i in ids)
        return joined if self.unit == "character" else joined.strip()

    def word_spans(self, ids: Iterable[int]) -> list[tuple[int, int]]:
        """First token and one past the last token of each word of a text; a space that is a token is in none."""
        spans: list[tuple[int, int]] = []
        inside = False
        for index, i in enumerate(ids):
            part = self.parts[i]
            if not part:
                continue  # a special id leaves no trace in the text: it neither starts nor ends a word
            inside = inside and not part[0].isspace()
            if part.strip():
                spans = [*spans[:-1], (spans[-1][0], index + 1)] if inside else [*spans, (index, index + 1)]
                inside = True
        return spans
