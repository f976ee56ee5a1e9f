"""Texts that are read: they stand in tables and text files, several in a file, and are padded as tokens."""

from __future__ import annotations

from typing import BinaryIO

from multimodal_attn.data.modalities.base import Reader, pad_in_time
from multimodal_attn.data.reading.text import read_lines, single_spaces
from multimodal_attn.types import Example, UnreadableError


class TextReader(Reader):
    """Takes texts as they are; each line of a text file is one."""

    modality = "text"
    phrase = "a text file"
    suffixes = ("txt",)
    columns = ("source", "target")
    normalization = "none"
    unit = "characters"
    at_once = 32
    in_files = False
    pad = staticmethod(pad_in_time)

    def read(self, place: str | BinaryIO) -> str:
        return str(place)

    def length(self, place: str) -> float:
        return float(len(place))

    def examples(self, path: str) -> list[Example]:
        lines = enumerate(map(single_spaces, read_lines(path)), start=1)
        found = [Example(f"{path}:{number}", line) for number, line in lines if line]
        if not found:
            raise UnreadableError(path, "holds no text")
        return found
