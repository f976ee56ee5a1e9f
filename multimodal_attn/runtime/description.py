"""``model.json`` of an exported folder: what it may hold, and what is made of it.

An exported folder is data from somewhere. Every value is checked here, and nothing that it names is imported or opened.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.data.reading.text import NORMALIZERS, Normalization
from multimodal_attn.data.tokenizers.vocabulary import SPECIAL_PIECES, Unit, Vocabulary
from multimodal_attn.types import Grid, Layout, Modality, Timeline, TokenAxis

FILE = "model.json"
FORMAT, VERSION = "multimodal_attn", 1
"""What a ``model.json`` says of itself."""
Precision = Literal["fp32", "fp16", "int8"]
"""Of the weights in the graphs."""
_LARGEST = 1 << 26  # bytes; a vocabulary of 100,000 words takes 5 MB
_MOST_TOKENS, _LONGEST_TEXT, _LONGEST_SIDE = 1_000_000, 100_000, 4096


@dataclass(frozen=True)
class Description:
    """What a program must know of an exported model beside its graphs.

    Attributes:
        name: of the run.
        reads: what the model reads.
        layout: where the memory positions lie in the source.
        vocabulary: of the texts that it writes.
        source_vocabulary: of the texts that it reads, or None.
        pieces_model: the sentencepiece model that cuts these texts; empty for other vocabularies.
        image_size, fit: of pictures, see ``read_pixels``.
        source_normalize, max_source_tokens: of texts that are read, see ``TextReader``.
        sample_rate: of recordings, in Hz; 0 for other sources.
        longest_seconds: of a recording; longer ones are not read.
        max_seconds: of the recordings that the model was trained on; None for no limit.
        width, length_penalty, max_length, max_length_ratio: of the beam, see ``BeamSearch``.
        gate_name: what the decoder calls its gate; empty for one without.
        temperature: of the confidence of its words, see ``confidence.py``; None for a run that was not calibrated.
        suffixes: of the files in a folder that it can be asked about.
        precision: of the weights in the graphs.
        content: all that stands in the file.
    """

    name: str
    reads: Modality
    layout: Layout
    vocabulary: Vocabulary
    source_vocabulary: Vocabulary | None
    pieces_model: bytes
    image_size: int
    fit: Fit
    source_normalize: Normalization
    max_source_tokens: int | None
    sample_rate: int
    longest_seconds: float
    max_seconds: float | None
    width: int
    length_penalty: float
    max_length: int
    max_length_ratio: float | None
    gate_name: str
    temperature: float | None
    suffixes: tuple[str, ...]
    precision: Precision
    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Description:
        """That of an exported folder.

        Raises:
            ValueError: if there is none, or a value is not what it should be; names the key.
        """
        node = _Node(_content(folder / FILE), str(folder / FILE))
        if (found := (node.value("format"), node.value("version"))) != (FORMAT, VERSION):
            raise node.error("format, version", found, f"{FORMAT}, {VERSION}")
        reads = cast(Modality, node.choice("reads", ("picture", "recording", "text")))
        reading, search = node.inside("reading"), node.inside("search")
        source = node.inside("source_vocabulary") if reads == "text" else None
        return cls(
            name=node.text("name"),
            reads=reads,
            layout=_LAYOUTS[reads](node.inside("layout")),
            vocabulary=_vocabulary(node.inside("vocabulary")),
            source_vocabulary=None if source is None else _vocabulary(source),
            pieces_model=b"" if source is None else source.content("sentencepiece"),
            image_size=reading.count("image_size", 8, _LONGEST_SIDE) if reads == "picture" else 0,
            fit=cast(Fit, reading.choice("fit", ("squash", "crop", "pad"))) if reads == "picture" else "squash",
            source_normalize=cast(
                Normalization, reading.choice("source_normalize", tuple(NORMALIZERS)) if reads == "text" else "none"
            ),
            max_source_tokens=reading.count_or_none("max_source_tokens", 1, _LONGEST_TEXT) if reads == "text" else None,
            sample_rate=reading.count("sample_rate", 1000, 384_000) if reads == "recording" else 0,
            longest_seconds=reading.number("longest_seconds", 0, 1e9) if reads == "recording" else 0.0,
            max_seconds=reading.number_or_none("max_seconds", 0, 1e9) if reads == "recording" else None,
            width=search.count("width", 1, 1000),
            length_penalty=search.number("length_penalty", 0, 100),
            max_length=search.count("max_length", 1, _LONGEST_TEXT),
            max_length_ratio=search.number_or_none("max_length_ratio", 0, 1e6),
            gate_name=node.text("gate_name", empty=True),
            temperature=node.number_or_none("temperature", 1e-3, 1e3),
            suffixes=node.texts("suffixes"),
            precision=cast(Precision, node.choice("precision", ("fp32", "fp16", "int8"))),
            content=node.node,
        )


class _Node:
    """A part of the file whose values are asked for by kind and range."""

    def __init__(self, node: Mapping[str, Any], place: str) -> None:
        self.node, self.place = node, place

    def error(self, key: str, value: object, expected: str) -> ValueError:
        return ValueError(f"{self.place}: {key}: {str(value)[:80]!r}; expected {expected}")

    def value(self, key: str) -> Any:
        return self.node.get(key)

    def inside(self, key: str) -> _Node:
        if not isinstance(found := self.value(key), dict):
            raise self.error(key, found, "values with names")
        return _Node(found, f"{self.place}: {key}")

    def text(self, key: str, empty: bool = False) -> str:
        if not isinstance(found := self.value(key), str) or not (found or empty):
            raise self.error(key, found, "a text")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.value(key)
        if not isinstance(found, list) or len(found) > _MOST_TOKENS or not all(isinstance(one, str) for one in found):
            raise self.error(key, type(found).__name__, "a list of texts")
        return tuple(found)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        if not isinstance(found := self.value(key), str) or found not in choices:
            raise self.error(key, found, f"one of {', '.join(choices)}")
        return found

    def count(self, key: str, least: int, most: int) -> int:
        if type(found := self.value(key)) is not int or not least <= found <= most:
            raise self.error(key, found, f"a whole number from {least} to {most}")
        return found

    def count_or_none(self, key: str, least: int, most: int) -> int | None:
        return None if self.value(key) is None else self.count(key, least, most)

    def number(self, key: str, least: float, most: float) -> float:
        found = self.value(key)
        if type(found) not in (int, float) or not math.isfinite(found) or not least <= found <= most:
            raise self.error(key, found, f"a number from {least:g} to {most:g}")
        return float(found)

    def number_or_none(self, key: str, least: float, most: float) -> float | None:
        return None if self.value(key) is None else self.number(key, least, most)

    def content(self, key: str) -> bytes:
        """What base64 stands for."""
        try:
            return base64.b64decode(self.text(key, empty=True), validate=True)
        except ValueError as error:
            raise self.error(key, error, "base64") from None


def _vocabulary(node: _Node) -> Vocabulary:
    unit = cast(Unit, node.choice("unit", ("word", "character", "piece")))
    found = Vocabulary(unit, node.texts("parts"), node.texts("pieces"))
    if len(found.parts) != len(found.pieces) or found.pieces[: len(SPECIAL_PIECES)] != SPECIAL_PIECES:
        expected = f"as many parts as pieces, which begin with {' '.join(SPECIAL_PIECES)}"
        raise node.error("pieces", f"{len(found.pieces)} for {len(found.parts)} parts", expected)
    return found


_LAYOUTS: dict[Modality, Callable[[_Node], Layout]] = {
    "picture": lambda node: Grid(node.count("rows", 1, _LONGEST_SIDE), node.count("columns", 1, _LONGEST_SIDE)),
    "recording": lambda node: Timeline(node.number("step_seconds", 1e-6, 60), node.number("offset_seconds", -60, 60)),
    "text": lambda node: TokenAxis(),
}


def _content(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"{path}: {path.stat().st_size:,} bytes; expected at most {_LARGEST:,}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); expected what multimodal-attn export writes") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a {type(content).__name__}; expected values with names")
    return content
