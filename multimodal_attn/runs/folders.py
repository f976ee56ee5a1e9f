"""What runs have left in their folders; anybody may have written there, so that nothing in it is trusted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from multimodal_attn.first_line import first_line
from multimodal_attn.types import UnreadableError

Parsed = TypeVar("Parsed")

_LARGEST = {".json": 2**20, ".yaml": 2**20, ".jsonl": 2**28}  # bytes of a file that is read
_MOST_KEYS = 10_000  # of a configuration: a small yaml may name itself so often that it unfolds to millions


def read_config(file: Path) -> dict[str, Any]:
    """A configuration, flat: ``decoder.hidden_dim`` -> value; lists stay what they are.

    Raises:
        UnreadableError: if it cannot be read, or is no configuration.
    """
    return _read(file, lambda text: _flat_config(yaml.safe_load(text)))


def read_metrics(file: Path) -> dict[str, float]:
    """The figures of an evaluation; what is no finite number is left out.

    Raises:
        UnreadableError: if it cannot be read, or holds no figure.
    """
    found = numbers(_read(file, json.loads))
    if not found:
        raise UnreadableError(str(file), "holds no figures")
    return found


def metrics_text(metrics: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> str:
    """metrics.json: a figure a line, and in ``intervals`` its two ends, with five digits, where it has any."""
    ends = {name: [float(f"{end:.5g}") for end in pair] for name, pair in intervals.items()}
    lines = [f"  {json.dumps(name)}: {json.dumps(pair)}" for name, pair in ends.items()]
    content = json.dumps({**metrics, "intervals": {}}, indent=2)
    return content.removesuffix("{}\n}") + ("{\n  " + ",\n  ".join(lines) + "\n  }\n}\n" if lines else "{}\n}\n")


def read_intervals(file: Path) -> dict[str, tuple[float, float]]:
    """The 95 % intervals of an evaluation's figures; what is no pair of finite numbers is left out.

    Raises:
        UnreadableError: if it cannot be read.
    """
    content = _read(file, json.loads)
    given = content.get("intervals") if isinstance(content, Mapping) else None
    found = {}
    for name, pair in given.items() if isinstance(given, Mapping) else ():
        ends = numbers(dict(enumerate(pair))) if isinstance(pair, list) else {}
        if len(ends) == 2:
            found[str(name)] = (ends["0"], ends["1"])
    return found


def read_log(file: Path) -> list[dict[str, float]]:
    """The numbers in each line of a metrics.jsonl; empty without one. A run that was killed may leave half a line.

    Raises:
        UnreadableError: if it is there and cannot be read.
    """
    found = []
    for line in _read(file, str.splitlines) if file.exists() else []:
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
    content = _read(file, yaml.safe_load)
    if not isinstance(content, list) or not all(isinstance(item, str) for item in content):
        raise UnreadableError(str(file), "is no list of overrides")
    return content


def numbers(content: Any) -> dict[str, float]:
    """The finite numbers of a mapping by name; empty for anything else."""
    items = content.items() if isinstance(content, Mapping) else ()
    # Not all integers fit into a float, and none is a truth value.
    return {
        str(name): value for name, value in items if type(value) in (int, float) and abs(value) <= sys.float_info.max
    }


def _read(file: Path, parse: Callable[[str], Parsed]) -> Parsed:
    try:
        if not file.is_file():
            reason = "is no file" if file.exists() else "no such file"
        elif (size := file.stat().st_size) > _LARGEST[file.suffix]:
            reason = f"is too large: {size} bytes; expected {_LARGEST[file.suffix]} at most"
        else:
            return parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except RecursionError:
        reason = "is nested too deeply"
    except yaml.MarkedYAMLError as error:
        reason = f"is no yaml: {error.problem}"
    except (yaml.YAMLError, ValueError) as error:
        reason = f"is not as a run writes it: {first_line(error)}"
    raise UnreadableError(str(file), reason)


def _flat_config(node: Any) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise ValueError("it holds no configuration")
    flat: dict[str, Any] = {}
    for key, value in _flat(node, ""):
        flat[key] = value
        if len(flat) > _MOST_KEYS:
            raise ValueError(f"it has more than {_MOST_KEYS} keys")
    return flat


def _flat(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield prefix, node
        return
    for key, value in node.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
