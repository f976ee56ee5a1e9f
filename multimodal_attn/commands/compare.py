"""Evaluated runs side by side, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multimodal_attn.runs.evaluations import compare as comparison


def compare(runs: Sequence[Path], split: str, output: Path, metrics: Sequence[str] | None = None) -> int:
    """Prints a table of the runs and the names of the files that hold it; returns the exit status.

    Args:
        runs: folders of evaluated runs, or folders that hold such folders.
        split: whose evaluations.
        output: folder to write.
        metrics: names of the figures to show; None for what the runs are judged by.
    """
    for file in comparison.compare(runs, split, output, metrics=metrics):
        print(file)
    return 0
