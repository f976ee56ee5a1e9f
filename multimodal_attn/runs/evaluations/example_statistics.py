"""What the figures of attention are computed from, example by example, in a file beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from multimodal_attn.data.reading.npz import Npz
from multimodal_attn.evaluation.statistics import Mean, Median, Statistic, Values
from multimodal_attn.writing import write_file

FILE = "statistics.npz"

_KINDS: dict[str, type[Values]] = {"mean": Mean, "median": Median}
_LARGEST = 2**28  # bytes of a file that is read


def write_statistics(path: Path, statistics: Sequence[Statistic]) -> None:
    """Writes the means and medians: of each its values, and the number of the example that each value is of.

    The numbers count the lines of predictions.jsonl.
    """
    arrays = {}
    for kind, made in _KINDS.items():
        for each in statistics:
            if isinstance(each, made):
                arrays[f"{kind}/{each.name}/values"] = np.asarray(each.values, dtype=np.float32)
                arrays[f"{kind}/{each.name}/examples"] = np.asarray(each.examples, dtype=np.int32)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_file(path, content.getbuffer())


def read_statistics(path: Path, place: dict[int, int]) -> list[Statistic]:
    """What ``write_statistics`` has written, of some examples; empty where there is no such file that can be read.

    Args:
        path: of the file.
        place: number of an example in the file -> its number from now on; others are left out.
    """
    found: list[Statistic] = []
    try:
        if path.stat().st_size > _LARGEST:
            return []
        arrays = Npz(path)
        for name in arrays.keys:
            kind, figure, part = (*name.split("/"), "", "")[:3]
            if part != "values" or kind not in _KINDS:
                continue
            values, examples = arrays.read(name).astype(np.float64), arrays.read(f"{kind}/{figure}/examples")
            kept = np.isin(examples, list(place))
            numbers = np.array([place[int(number)] for number in examples[kept]], dtype=np.int64)
            if len(numbers):
                found.append(_KINDS[kind](figure, values[kept], numbers))
    except (OSError, ValueError, KeyError, IndexError):
        return []
    return found
