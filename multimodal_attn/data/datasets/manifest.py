"""One's own pictures or recordings, listed with their texts in a csv or jsonl file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from multimodal_attn.data.loading.features import file_fingerprint
from multimodal_attn.data.reading.audio import audio_seconds, read_audio
from multimodal_attn.data.reading.images import check_fit, read_image
from multimodal_attn.data.reading.text import normalize_caption, normalize_transcript, single_spaces
from multimodal_attn.types import Example, Target, UnreadableError

COLUMNS = {"image": ("image", "caption"), "audio": ("audio", "text")}
EXPECTED = " or ".join(",".join(columns) for columns in COLUMNS.values())
HELD_OUT = 0.05
"""Part of the training sources that validates when no file for validation is given."""


class _Row(NamedTuple):
    place: str  # file:line
    path: str  # of the picture or recording
    texts: list[str]


class _Table(NamedTuple):
    columns: list[str]
    records: list[tuple[int, dict[str, Any]]]  # line, cells by column
    bad: list[tuple[int, str]]  # line, reason


class _Source(NamedTuple):
    key: str
    path: str
    targets: tuple[Target, ...]
    seconds: float


NORMALIZERS = {"caption": normalize_caption, "transcript": normalize_transcript, "none": single_spaces}


class Manifest:
    """Pictures with captions, or recordings with transcripts, from files such as::

        image,caption                          {"audio": "a.wav", "text": "set white by b two now"}
        photos/1.jpg,"Two dogs, one ball."     {"audio": "b.wav", "text": "lay red in c six again"}

    A csv has a header and quotes a text that has commas, a jsonl has an object a line; both are UTF-8, and further
    columns are ignored. Rows with the same picture are one example with several texts; a row of a jsonl may also give
    them at once as ``"captions": [...]``.

    Without ``val``, a twentieth of the sources of ``train`` is held out, all texts of a source together. Which ones
    depends on ``seed`` and their paths in the file, so that added rows hardly change it.

    Args:
        split: "train", "val" or "test".
        train: the csv or jsonl file for training.
        val: the file for validation; None holds out a part of ``train``.
        test: the file for testing.
        root: folder that relative paths start from; None for the folder of the file that has them.
        kind: "image" or "audio"; None to tell from the columns.
        image_size: side in pixels of the pictures.
        fit: how a picture becomes square, "squash", "crop" or "pad"; see ``read_image``.
        sample_rate: in Hz, that recordings are resampled to.
        normalize: how texts are normalised: "caption", "transcript" or "none" (white space only); None for the usual of
            the kind.
        max_words: rows with a longer text are skipped.
        seed: of the held-out part.

    Attributes:
        kind: "image" or "audio".
        skipped: rows that cannot be read or lack a usable text, files that are missing, recordings without a readable
            header.

    Raises:
        ValueError: if an argument is not allowed, a file or column is missing, or a split has no usable row.
    """

    def __init__(
        self,
        split: str,
        train: str | Path | None = None,
        val: str | Path | None = None,
        test: str | Path | None = None,
        root: str | Path | None = None,
        kind: str | None = None,
        image_size: int = 224,
        fit: str = "squash",
        sample_rate: int = 16_000,
        normalize: str | None = None,
        max_words: int = 200,
        seed: int = 0,
    ) -> None:
        files = {"train": train, "val": val, "test": test}
        _require("split", split, files)
        _require("kind", kind, [None, *COLUMNS])
        check_fit(fit)
        _require("normalize", normalize, [None, *NORMALIZERS])
        holds_out = split == "val" and val is None
        name = "train" if holds_out else split
        if not files[name]:
            raise ValueError(f"data.{name}: missing; expected a csv or jsonl file with the columns {EXPECTED}")
        path = Path(str(files[name])).expanduser().absolute()
        self.image_size, self.fit, self.sample_rate = image_size, fit, sample_rate
        self.skipped: list[UnreadableError] = []

        base = path.parent if root is None else Path(root).expanduser().absolute()
        if root is not None and not base.is_dir():
            raise ValueError(f"data.root: there is no folder '{base}'")
        self.kind, rows = self._read(path, f"data.{name}", kind)
        if holds_out:
            self.skipped = []  # rows that belong to no source are listed once, by the training split
        by_source: dict[str, list[_Row]] = {}
        for row in rows:
            by_source.setdefault(os.path.normpath(base / row.path), []).append(row)
        if val is None and name == "train":
            held_out = _held_out(list(by_source), base, seed)
            by_source = {source: rows for source, rows in by_source.items() if (source in held_out) == holds_out}

        self._normalize = NORMALIZERS[normalize or {"image": "caption", "audio": "transcript"}[self.kind]]
        self._max_words = max_words
        checked = (self._check(source, rows, base) for source, rows in by_source.items())
        self._sources = [source for source in checked if source is not None]
        if not self._sources:
            reasons = "".join(f"\n  {error}" for error in self.skipped[:5])
            raise ValueError(f"data.{name}: '{path}' has no usable row for split '{split}'{reasons}")

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: int) -> Example:
        """The picture (3, image_size, image_size) or recording (L,) with its texts."""
        path = self.path(index)
        if self.kind == "image":
            return Example(self.key(index), read_image(path, self.image_size, self.fit), self.targets(index))
        return Example(self.key(index), read_audio(path, self.sample_rate), self.targets(index))

    def key(self, index: int) -> str:
        """The path from the root, or the whole one where it leads elsewhere."""
        return self._sources[index].key

    def targets(self, index: int) -> tuple[Target, ...]:
        """The texts, without reading the source."""
        return self._sources[index].targets

    def path(self, index: int) -> str:
        return self._sources[index].path

    def fingerprint(self, index: int) -> str:
        """Changes when the picture or what is made of it here does."""
        return f"{file_fingerprint(self.path(index))}:{self.image_size}:{self.fit}"

    def texts(self) -> list[str]:
        return [target.text for source in self._sources for target in source.targets]

    def lengths(self) -> list[float]:
        """Seconds of each recording, 1.0 for pictures."""
        return [source.seconds for source in self._sources]

    def _read(self, path: Path, option: str, kind: str | None) -> tuple[str, list[_Row]]:
        """The kind of a file and its complete rows."""
        table = _read_table(path, option)
        kind = kind or _kind(table, path, option)
        media, text_column = COLUMNS[kind]
        # In a csv a list of captions has no place.
        text_columns = (
            {text_column, "captions"} if kind == "image" and path.suffix.lower() == ".jsonl" else {text_column}
        )
        if media not in table.columns or not text_columns.intersection(table.columns):
            raise ValueError(f"{option}: '{path}' has the columns {_names(table)}; expected {media},{text_column}")
        if kind == "audio" and {"start", "offset"}.intersection(table.columns):
            raise ValueError(
                f"{option}: '{path}' has the columns {_names(table)}; parts of recordings are not supported"
            )
        self.skipped += [UnreadableError(f"{path}:{line}", reason) for line, reason in table.bad]
        rows = []
        for line, record in table.records:
            source, texts = record.get(media), []
            if record.get(text_column) is not None:
                texts.append(record[text_column])
            if "captions" in text_columns and isinstance(record.get("captions"), list):
                texts += record["captions"]
            if not (isinstance(source, str) and source.strip()):
                self.skipped.append(UnreadableError(f"{path}:{line}", f"no {media}"))
            elif not texts or not all(isinstance(text, str) for text in texts):
                self.skipped.append(UnreadableError(f"{path}:{line}", f"no {text_column}"))
            else:
                rows.append(_Row(f"{path}:{line}", source.strip(), texts))
        return kind, rows

    def _check(self, path: str, rows: list[_Row], base: Path) -> _Source | None:
        """A source with its usable texts, None if it or all of them are unusable."""
        if not os.path.isfile(path):
            self.skipped.append(UnreadableError(path, f"no such file (from {rows[0].place})"))
            return None
        targets = []
        for row in rows:
            for text in map(self._normalize, row.texts):
                num_words = len(text.split())
                if 1 <= num_words <= self._max_words:
                    targets.append(Target(text))
                else:
                    reason = f"{num_words} words, more than max_words={self._max_words}" if text else "empty text"
                    self.skipped.append(UnreadableError(row.place, reason))
        if not targets:
            return None
        try:
            seconds = 1.0 if self.kind == "image" else audio_seconds(path)
        except UnreadableError as error:
            self.skipped.append(error)
            return None
        return _Source(_key(path, base), path, tuple(targets), seconds)


def _read_table(path: Path, option: str) -> _Table:
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{option}: '{path}' ends in '{path.suffix}'; expected {' or '.join(readers)}")
    try:
        return readers[path.suffix.lower()](path.read_text(encoding="utf-8-sig"))  # spreadsheets write a signature
    except OSError as error:
        raise ValueError(f"{option}: '{path}' cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{option}: '{path}' is not UTF-8 ({error}); save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{option}: '{path}' is damaged: {error}") from error


def _read_csv(text: str) -> _Table:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    table = _Table([], [], [])
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return table
        except csv.Error as error:
            if "unexpected end" in str(error):  # all that follows has been swallowed: no matter of one row
                raise csv.Error(f"a quotation mark in line {line} is never closed") from error
            last = f" (read up to line {reader.line_num})" if reader.line_num > line else ""
            table.bad.append((line, f"{error}{last}"))
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if not table.columns:
            table.columns.extend(cell.strip().lower() for cell in cells)
            if len(set(table.columns)) < len(table.columns):
                raise csv.Error(
                    f"a column occurs twice in {_names(table)}; several texts of a source take several rows"
                )
        elif len(cells) != len(table.columns):
            reason = f"{len(cells)} fields, expected {len(table.columns)}; a text that has commas needs quotation marks"
            table.bad.append((line, reason))
        else:
            table.records.append((line, dict(zip(table.columns, cells, strict=True))))


def _read_jsonl(text: str) -> _Table:
    table = _Table([], [], [])
    columns: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            table.bad.append((number, f"not JSON ({error})"))
            continue
        if isinstance(record, dict):
            table.records.append((number, record))
            columns |= dict.fromkeys(record)
        else:
            table.bad.append((number, "not an object {...}"))
    table.columns.extend(columns)
    return table


def _kind(table: _Table, path: Path, option: str) -> str:
    kinds = [kind for kind, (media, _) in COLUMNS.items() if media in table.columns]
    if len(kinds) == 2:
        raise ValueError(
            f"data.kind: '{path}' has both an image and an audio column; expected kind=image or kind=audio"
        )
    if not kinds:
        raise ValueError(f"{option}: '{path}' has the columns {_names(table)}; expected {EXPECTED}")
    return kinds[0]


def _names(table: _Table) -> str:
    return ",".join(table.columns) or "(none)"


def _held_out(sources: list[str], base: Path, seed: int) -> set[str]:
    if len(sources) < 2:
        raise ValueError("data.val: missing, and data.train has too few sources to hold one out; expected a file")

    def rank(source: str) -> bytes:
        # By a digest of each name and not by shuffling, so that rows may come and go without mixing the two parts.
        return hashlib.sha256(f"{seed}:{_key(source, base)}".encode()).digest()

    return set(sorted(sources, key=rank)[: max(1, round(HELD_OUT * len(sources)))])


def _key(path: str, base: Path) -> str:
    return Path(path).relative_to(base).as_posix() if Path(path).is_relative_to(base) else path


def _require(option: str, value: str | None, allowed: Iterable[str | None]) -> None:
    if value not in list(allowed):
        names = ", ".join(str(name or "null") for name in allowed)
        raise ValueError(f"data.{option}: '{value}'; expected one of {names}")
