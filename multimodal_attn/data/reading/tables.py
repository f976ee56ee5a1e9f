"""Tables of cells with names, from csv, jsonl and json files; rows that are damaged are listed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from multimodal_attn.data.reading.json_files import read_json
from multimodal_attn.data.reading.text import read_text
from multimodal_attn.types import UnreadableError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_ROWS, _LINES = 3, 100  # in a cell, from which its quotation mark is taken for one that was never closed
_OBJECTS = "a list of objects [{...}, ...]"
_ENDING = re.compile(r"\.[a-z]\w*\Z")  # of the name of a file, and not of a text, such as "Mr. Smith" and 3.5


class Table(NamedTuple):
    """A table as its file has it.

    Attributes:
        columns: in lower case; of objects, every key that occurs.
        records: line number, in a json file that of the object, and the cells by column.
        bad: line number, and what is wrong there.
    """

    columns: list[str]
    records: list[tuple[int, dict[str, Any]]]
    bad: list[tuple[int, str]]

    @property
    def names(self) -> str:
        """The columns, for errors."""
        return ",".join(self.columns) or "(none)"


def read_table(path: Path, option: str) -> Table:
    """The table in a UTF-8 file: a csv with a header, a jsonl with an object a line, or a json with a list of objects.

    The cells of a csv stand between commas, semicolons or tabs, whichever the header has most of.

    Args:
        path: of the file.
        option: key of the configuration that led there, for the error.

    Raises:
        ValueError: if it cannot be read as one of these.
    """
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl}
    if path.suffix.lower() == ".json":
        found = read_json(path, option, _OBJECTS)
        if not isinstance(found, list):
            raise ValueError(f"{option}: '{path}' holds something else; expected {_OBJECTS}")
        return _of_objects((number, partial(_whole, record)) for number, record in enumerate(found, start=1))
    if path.suffix.lower() not in readers:
        raise ValueError(f"{option}: '{path}' ends in '{path.suffix}'; expected {' or '.join(readers)} or .json")
    try:
        return readers[path.suffix.lower()](read_text(path))
    except UnreadableError as error:
        raise ValueError(f"{option}: '{error.path}' {error.reason}") from None
    except csv.Error as error:
        raise ValueError(f"{option}: '{path}' is damaged: {error}") from error


def _read_csv(text: str) -> Table:
    header = text.lstrip().partition("\n")[0]
    separator = max(SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    table = Table([], [], [])
    broken: list[tuple[int, int, bool]] = []  # first and last line of rows with line breaks, and if they may be several
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            # Dialogues have lines that look like rows, and so have their neighbors. A single one would be an accident.
            if len(broken) == 1 and broken[0][2]:
                raise _swallowed(*broken[0][:2]) from None
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
                raise csv.Error(f"a column occurs twice in {table.names}; several texts of a source take several rows")
        elif len(cells) != len(table.columns):
            named = SEPARATORS[separator]
            reason = (
                f"{len(cells)} fields, expected {len(table.columns)}; a text that has {named} needs quotation marks"
            )
            table.bad.append((line, reason))
        else:
            if any(len(cell.splitlines()) > 1 for cell in cells):
                parts = [_rows_within(cells, index, separator) for index in range(len(cells))]
                if any(_name_files(cells, rows) for _, rows in parts):
                    raise _swallowed(line, reader.line_num)
                many = any(number > _LINES or len(rows) >= _ROWS for number, rows in parts)
                broken.append((line, reader.line_num, many))
            table.records.append((line, dict(zip(table.columns, cells, strict=True))))


def _swallowed(line: int, last: int) -> csv.Error:
    return csv.Error(
        f"a quotation mark in line {line} is closed as late as line {last}, and what looks like rows stands between"
    )


def _rows_within(cells: list[str], index: int, separator: str) -> tuple[int, list[list[str]]]:
    """How many lines a quoted cell would have swallowed, and those of them that have as many fields as this row."""
    lines = separator.join(cells[: index + 1]).splitlines()
    # The rest of its first line is no row, unless the cell is not the last of this one.
    lines = [*lines[1:], *(lines[:1] if len(lines) > 1 and index + 1 < len(cells) else [])]
    return len(lines), [fields for fields in (line.split(separator) for line in lines) if len(fields) == len(cells)]


def _name_files(cells: list[str], rows: list[list[str]]) -> bool:
    """Whether one of the rows has a name of a file where this one has it."""
    return any(
        _ENDING.match(ending := PurePath(cell.strip()).suffix.lower())
        and ending == PurePath(field.strip()).suffix.lower()
        for fields in rows
        for cell, field in zip(cells, fields, strict=True)
    )


def _read_jsonl(text: str) -> Table:
    lines = enumerate(text.split("\n"), start=1)
    return _of_objects((number, partial(_parsed, line)) for number, line in lines if line.strip())


def _parsed(line: str) -> Any:
    found = json.loads(line)
    return _whole(found) if "\\u" in line else found


def _whole(record: Any) -> Any:
    r"""The same; half of a character, such as \ud83d, is an error, as no file can hold it."""
    json.dumps(record, ensure_ascii=False).encode()
    return record


def _of_objects(found: Iterable[tuple[int, Callable[[], Any]]]) -> Table:
    """A table of what can be read at numbered places of a file."""
    table = Table([], [], [])
    columns: dict[str, None] = {}
    for number, read in found:
        try:
            record = read()
        except (ValueError, RecursionError) as error:
            reason = "nested too deep" if isinstance(error, RecursionError) else error
            table.bad.append((number, f"not JSON ({reason})"))
            continue
        if isinstance(record, dict):
            record = {name.strip().lower(): cell for name, cell in record.items()}
            table.records.append((number, record))
            columns |= dict.fromkeys(record)
        else:
            table.bad.append((number, "not an object {...}"))
    table.columns.extend(columns)
    return table
