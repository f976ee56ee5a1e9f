"""What runs have left in their folders; anybody may have written there, so that nothing in it is trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from multimodal_attn.types import UnreadableError

_LARGEST = {"config.yaml": 2**20, "overrides.yaml": 2**20, "metrics.json": 2**20, "metrics.jsonl": 2**28}
"""Bytes of each file that is read."""
_MOST_KEYS = 10_000
"""Of a configuration: a small yaml may name itself so often that it unfolds to millions."""


def read_config(file: Path) -> dict[str, Any]:
    """A configuration, flat: ``decoder.hidden_dim`` -> value; lists stay what they are.

    Raises:
        UnreadableError: if it cannot be read, or is no configuration.
    """
    try:
        node = yaml.safe_load(_text(file))
        if not isinstance(node, dict):
            raise UnreadableError(str(file), "holds no configuration")
        flat: dict[str, Any] = {}
        for key, value in _flat(node, ""):
            flat[key] = value
            if len(flat) > _MOST_KEYS:
                raise UnreadableError(str(file), f"has more than {_MOST_KEYS} keys")
        return flat
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "its characters are not allowed"
        raise UnreadableError(str(file), f"is no yaml: {problem}") from None
    except (ValueError, RecursionError) as error:
        raise _reason(file, error) from None


def read_metrics(file: Path) -> dict[str, float]:
    """The figures of an evaluation; what is no finite number is left out.

    Raises:
        UnreadableError: if it cannot be read, or holds no figure.
    """
    try:
        content = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise _reason(file, error) from None
    found = numbers(content)
    if not found:
        raise UnreadableError(str(file), "holds no figures")
    return found


def read_log(file: Path) -> list[dict[str, float]]:
    """The numbers in each line of a metrics.jsonl; empty without one. A run that was killed may leave half a line.

    Raises:
        UnreadableError: if it is there and cannot be read.
    """
    found = []
    for line in _text(file).splitlines() if file.exists() else []:
        try:
            found.append(numbers(json.loads(line)))
        except (ValueError, RecursionError):
            continue
    return found


def read_overrides(file: Path) -> list[str]:
    """What the command line of a run said, as Hydra has written it down.

    Raises:
        UnreadableError: if it cannot be read, or is no list of texts.
    """
    try:
        content = yaml.safe_load(_text(file))
    except (ValueError, RecursionError, yaml.YAMLError):
        content = None
    if not isinstance(content, list) or not all(isinstance(item, str) for item in content):
        raise UnreadableError(str(file), "is no list of overrides")
    return content


def numbers(content: Any) -> dict[str, float]:
    """The finite numbers of a mapping by name; empty for anything else."""
    if not isinstance(content, Mapping):
        return {}
    found = {}
    for name, value in content.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                if math.isfinite(value):
                    found[str(name)] = value
            except OverflowError:  # an integer that no float can hold
                continue
    return found


def printable(text: str) -> str:
    """A text without what would move a terminal's cursor or end a line."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _flat(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield prefix, node
        return
    for key, value in node.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))


def _text(file: Path) -> str:
    try:
        size = file.stat().st_size
        if not file.is_file():
            raise UnreadableError(str(file), "is no file")
        if size > _LARGEST[file.name]:
            raise UnreadableError(str(file), f"is too large: {size} bytes; expected {_LARGEST[file.name]} at most")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableError(str(file), (error.strerror or str(error)).lower()) from None
    except UnicodeDecodeError:
        raise UnreadableError(str(file), "is not UTF-8") from None


def _reason(file: Path, error: Exception) -> UnreadableError:
    if isinstance(error, UnreadableError):
        return error
    nested = isinstance(error, RecursionError)
    return UnreadableError(str(file), "is nested too deeply" if nested else f"is not as a run writes it: {error}")
