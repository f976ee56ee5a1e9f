"""Texts that are read: they stand in tables and text files, several in a file, and are padded as tokens."""

from __future__ import annotations

from typing import BinaryIO

from multimodal_attn.data.modalities.base import Reader, pad_in_time
from multimodal_attn.data.reading.names import names
from multimodal_attn.data.reading.text import NORMALIZERS, Normalization, prepared, read_lines, single_spaces
from multimodal_attn.ranges import Count
from multimodal_attn.types import Example, Target, UnreadableError

STANDARD_INPUT = "/dev/stdin"
"""What is read where a file is called "-"."""


class TextReader(Reader):
    """Takes texts, single spaces between their words; each line of a text file is one.

    Args:
        max_source_tokens: words of a text, as spaces part them; the rest is cut off. None for no limit.
        source_normalize: how texts are normalized first, "none", "spaced", "caption" or "transcript".
    """

    modality = "text"
    phrase = "a text file"
    suffixes = ("txt",)
    columns = ("source", "target")
    normalization = "none"
    unit = "characters"
    at_once = 32
    in_files = False
    pad = staticmethod(pad_in_time)

    def __init__(self, max_source_tokens: Count | None = None, source_normalize: Normalization = "none") -> None:
        self.max_source_tokens, self.source_normalize = max_source_tokens, source_normalize

    def read(self, place: str | BinaryIO) -> str:
        return prepared(str(place), self.source_normalize, self.max_source_tokens)

    def cut(self, place: str) -> str:
        words = len(NORMALIZERS[self.source_normalize](place).split())
        if self.max_source_tokens is None or words <= self.max_source_tokens:
            return ""
        return f"cut off: {words} words, more than data.max_source_tokens={self.max_source_tokens}"

    def target(self, text: str, normalize: Normalization, place: str) -> Target:
        """A text of a source, normalized, with the names that both have.

        A name is what either of the two shows to be one before it is normalized; see ``names``.
        """
        written = NORMALIZERS[normalize](text)
        words = {word for name in names(text, place) for word in NORMALIZERS[normalize](name).split()}
        if words := words.intersection(written.split()):  # most texts have none: what is read need not be made
            words = words.intersection(self.read(place).split())
        return Target(written, names=tuple(word for word in dict.fromkeys(written.split()) if word in words))

    def length(self, place: str) -> float:
        return float(len(self.read(place)))

    def examples(self, path: str) -> list[Example]:
        """As in ``Reader``, an example for each line that has a text; "-" is the standard input."""
        lines = enumerate(map(single_spaces, read_lines(STANDARD_INPUT if path == "-" else path)), start=1)
        found = [Example(f"{path}:{number}", self.read(line), cut=self.cut(line)) for number, line in lines if line]
        if not found:
            raise UnreadableError(path, "holds no text")
        return found
