"""Your own pictures, recordings or texts, listed with the texts to write in a csv, jsonl or json file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry, Split
from multimodal_attn.data.modalities import READERS, reader_of
from multimodal_attn.data.reading.files import digest, local_path
from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.data.reading.tables import Table, read_table
from multimodal_attn.data.reading.text import Normalization, single_spaces
from multimodal_attn.ranges import Count, ImageSize, SampleRate, Seed
from multimodal_attn.types import Modality, UnreadableError

EXPECTED = " or ".join(",".join(reader.columns) for reader in READERS.values())
_MISSING = ("nan", "NaN", "NULL", "#N/A")  # as spreadsheets and programs write an empty cell
HELD_OUT = 0.05
"""Part of the training sources that validates when no file for validation is given."""


class _Row(NamedTuple):
    line: int
    source: str  # as the cell has it
    texts: list[str]


class _Source(NamedTuple):
    place: str  # of its file, or the text itself
    name: str  # by which it is held out: what the file calls it
    rows: list[_Row]


class Manifest(Dataset):
    """Pictures with captions, recordings with transcripts or texts with translations, from files such as::

        image,caption                          {"audio": "a.wav", "text": "set white by b two now"}
        photos/1.jpg,"Two dogs, one ball."     {"audio": "b.wav", "text": "lay red in c six again"}

    A csv has a header, commas, semicolons or tabs between its cells, and quotes a text that has any of them; a jsonl
    has an object a line, a json a list of objects. All are UTF-8, and further columns are ignored. Rows with the same
    picture or recording are one example with several texts; an object may also give them at once as
    ``"captions": [...]``.

    Without ``val``, a twentieth of the sources of ``train`` is held out, all texts of a source together. Which ones
    depends on ``seed`` and what the file calls them, so that added rows hardly change it.

    Args:
        split: "train", "val" or "test".
        train: the csv, jsonl or json file for training.
        val: the file for validation; None holds out a part of ``train``.
        test: the file for testing.
        root: folder that relative paths start from; None for the folder of the file that has them.
        modality: "picture", "recording" or "text"; None to tell from the columns.
        columns: the columns of the source and its text, where the file calls them otherwise than above; ``modality``
            then has to say what the sources are.
        image_size: side in pixels of the pictures.
        fit: how a picture becomes square, "squash", "crop" or "pad"; see ``read_image``.
        sample_rate: in Hz, that recordings are resampled to.
        normalize: how texts are normalized: "caption", "transcript", "spaced" or "none" (white space only); None for
            the usual of the modality.
        max_words: rows with a longer text are skipped, and of texts also those with a longer source, unless
        max_source_tokens: says how many words of a source text are read.
        source_normalize: how source texts are normalized, of "none", "spaced", "caption" and "transcript".
        seed: of the held-out part.

    Attributes:
        cut: texts of which only the beginning is read.
        skipped: rows that cannot be read or lack a usable text, files that are missing, recordings without a readable
            header.

    Raises:
        ValueError: if a file or column is missing, or a split has no usable row.
    """

    def __init__(
        self,
        split: Split,
        train: str | Path | None = None,
        val: str | Path | None = None,
        test: str | Path | None = None,
        root: str | Path | None = None,
        modality: Modality | None = None,
        columns: tuple[str, str] | None = None,
        image_size: ImageSize = 224,
        fit: Fit = "squash",
        sample_rate: SampleRate = 16_000,
        normalize: Normalization | None = None,
        max_words: Count = 200,
        max_source_tokens: Count | None = None,
        source_normalize: Normalization = "none",
        seed: Seed = 0,
    ) -> None:
        files = {"train": train, "val": val, "test": test}
        holds_out = split == "val" and val is None
        name: Split = "train" if holds_out else split
        option, file = f"data.{name}", files[name]
        if file is None:
            raise ValueError(f"{option}: missing; expected a csv, jsonl or json file with the columns {EXPECTED}")
        path = Path(file).expanduser().absolute()
        base = path.parent if root is None else Path(root).expanduser().absolute()
        if root is not None and not base.is_dir():
            raise ValueError(f"data.root: there is no folder '{base}'")
        table = read_table(path, option)
        if columns is not None:
            columns = (columns[0].lower(), columns[1].lower())  # as tables have them
        modality = _modality(table, path, option, modality, columns)
        entries: list[Entry] = []
        settings = {
            "image_size": image_size,
            "fit": fit,
            "sample_rate": sample_rate,
            "max_source_tokens": max_source_tokens,
            "source_normalize": source_normalize,
        }
        super().__init__(reader_of(modality, settings), entries)
        rows = self._rows(table, path, columns or self.reader.columns)
        if holds_out:
            self.skipped.clear()  # rows that belong to no source are listed once, by the training split
        sources = self._sources(rows, path, base)
        if val is None and name == "train":
            held_out = _held_out({source.name for source in sources.values()}, seed)
            sources = {key: found for key, found in sources.items() if (found.name in held_out) == holds_out}

        self._normalize, self._max_words = normalize or self.reader.normalization, max_words
        self._cuts = max_source_tokens is not None
        self._places: list[str] = []  # of the files, or the texts to be read
        for key, source in sources.items():
            if (entry := self._entry(key, source, path)) is not None:
                entries.append(entry)
                self._places.append(source.place)
        if not entries:
            reasons = "".join(f"\n  {error}" for error in self.skipped[:5])
            raise ValueError(f"{option}: '{path}' has no usable row for split '{split}'{reasons}")

    def path(self, index: int) -> str | None:
        return self._places[index] if self.reader.in_files else None

    def read(self, index: int) -> Tensor | str:
        return self.reader.read(self._places[index])

    def _rows(self, table: Table, path: Path, columns: tuple[str, str]) -> list[_Row]:
        """The complete rows of a table."""
        source_column, text_column = columns
        self.skipped += [UnreadableError(f"{path}:{line}", reason) for line, reason in table.bad]
        rows = []
        for line, record in table.records:
            source, texts = record.get(source_column), _texts(record, text_column)
            if not (isinstance(source, str) and source.strip()):
                self.skipped.append(UnreadableError(f"{path}:{line}", f"no {source_column}"))
            elif not texts or not all(isinstance(text, str) and text not in _MISSING for text in texts):
                reason = f"no {text_column}" + f": {str(texts)[:50]}; expected a text" * bool(texts)
                self.skipped.append(UnreadableError(f"{path}:{line}", reason))
            else:
                rows.append(_Row(line, source.strip(), texts))
        return rows

    def _sources(self, rows: list[_Row], path: Path, base: Path) -> dict[str, _Source]:
        """Rows by the key of their example: those of one file are one, of texts each is one."""
        sources: dict[str, _Source] = {}
        for row in rows:
            if self.reader.in_files:
                place = os.path.normpath(base / local_path(row.source))
                key = Path(place).relative_to(base).as_posix() if Path(place).is_relative_to(base) else place
                sources.setdefault(key, _Source(place, key, [])).rows.append(row)
            else:
                text = single_spaces(row.source)
                sources[f"{path.name}:{row.line}"] = _Source(text, text, [row])
        return sources

    def _entry(self, key: str, source: _Source, path: Path) -> Entry | None:
        """An example with its usable texts, None if its source or all of them are unusable."""
        if self.reader.in_files and not os.path.isfile(source.place):
            self.skipped.append(UnreadableError(source.place, f"no such file (from {path}:{source.rows[0].line})"))
            return None
        targets, limited = [], self.reader.in_files or self._cuts
        for row in source.rows:
            if not limited and (words := len(source.place.split())) > self._max_words:
                reason = f"a source of {words} words, more than data.max_words={self._max_words}"
                self.skipped.append(UnreadableError(f"{path}:{row.line}", reason))
                continue
            for given in row.texts:
                target = self.reader.target(given, self._normalize, source.place)
                text, words = target.text, len(target.text.split())
                if not text:
                    self.skipped.append(UnreadableError(f"{path}:{row.line}", "empty text"))
                elif words > self._max_words:
                    reason = f"{words} words, more than data.max_words={self._max_words}"
                    self.skipped.append(UnreadableError(f"{path}:{row.line}", reason))
                else:
                    targets.append(target)
        if not targets:
            return None
        if self._cuts and (reason := self.reader.cut(source.place)):
            self.cut.append(UnreadableError(f"{path}:{source.rows[0].line}", reason))
        try:
            return Entry(key, tuple(targets), self.reader.length(source.place))
        except UnreadableError as error:
            self.skipped.append(error)
            return None


def _modality(
    table: Table, path: Path, option: str, modality: Modality | None, columns: tuple[str, str] | None
) -> Modality:
    """What the sources of a table are, by the columns if nobody says so; checks that it has the columns."""
    if columns is not None and modality is None:
        raise ValueError(f"data.modality: missing; expected {', '.join(READERS)}, as data.columns says nothing of it")
    wanted = {name: columns or reader.columns for name, reader in READERS.items() if modality in (None, name)}
    whole = [name for name, (source, text) in wanted.items() if source in table.columns and _has(table, path, text)]
    if len(whole) > 1:
        choice = " or ".join(f"data.modality={name}" for name in whole)
        raise ValueError(f"data.modality: missing; '{path}' has the columns {table.names}; expected {choice}")
    if not whole:
        near = [pair for pair in wanted.values() if pair[0] in table.columns] or wanted.values()
        expected = " or ".join(",".join(pair) for pair in near)
        raise ValueError(f"{option}: '{path}' has the columns {table.names}; expected {expected}")
    if whole[0] == "recording" and {"start", "offset"}.intersection(table.columns):
        raise ValueError(f"{option}: '{path}' has the columns {table.names}; parts of recordings are not supported")
    return whole[0]


def _has(table: Table, path: Path, text_column: str) -> bool:
    """In a csv a list of texts has no place."""
    lists = path.suffix.lower() in (".jsonl", ".json") and f"{text_column}s" in table.columns
    return text_column in table.columns or lists


def _texts(record: dict[str, Any], column: str) -> list[Any]:
    one, several = record.get(column), record.get(f"{column}s")
    if one is None and isinstance(several, str):
        one = several
    return [*([] if one is None else [one]), *(several if isinstance(several, list) else [])]


def _held_out(names: set[str], seed: int) -> set[str]:
    if len(names) < 2:
        raise ValueError("data.val: missing, and data.train has too few sources to hold one out; expected a file")
    # By a digest of each name and not by shuffling, so that rows may come and go without mixing the two parts.
    ranked = sorted(names, key=lambda name: digest(f"{seed}:{name}"))
    return set(ranked[: max(1, round(HELD_OUT * len(names)))])
