"""Evaluated runs side by side, the best first: comparison.md, comparison.csv, comparison.png, and the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from textwrap import shorten
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multimodal_attn.inspection.figures.comparison import draw_comparison
from multimodal_attn.measures import GROUPS, Measure, headline, measure, shown
from multimodal_attn.runs.folders import printable, read_config, read_log, read_metrics
from multimodal_attn.types import UnreadableError
from multimodal_attn.writing import write_file

# What says nothing of a run but where it lies and how it was watched.
_INCIDENTAL = ("run_dir", "cache_dir", "data.cache_dir", "resume", "callbacks.", "logger.")
_COST = ("num_parameters", "step_ms", "peak_memory_mb")
_LABEL = 36  # longest name of a run in the terminal
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a text that begins with one of these


@dataclass
class EvaluatedRun:
    """One evaluated run.

    Attributes:
        folder: of the run.
        config: of config.yaml, flat: ``decoder.hidden_dim`` -> value.
        metrics: of metrics.json, and ``step_ms`` and ``peak_memory_mb`` where the cost of a training step was logged.
    """

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, float]


def compare(paths: Sequence[Path], split: str, out: Path, console: Console | None = None) -> list[Path]:
    """Prints and writes the table and the figure of all evaluated runs in or below the paths.

    Args:
        paths: folders of runs, or folders that hold such folders.
        split: whose evaluation.
        out: folder for the files; it is made.
        console: to print to; standard output if None.

    Returns:
        The files.

    Raises:
        ValueError: if there is no evaluated run that can be read.
    """
    if Path(split).name != split:
        raise ValueError(f"--split: {split!r}; expected the name of a folder below evaluation/, such as val")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--output: '{out}' is a file; expected a folder")
    found, skipped = find_runs(paths, split)
    for error in skipped:
        print_skipped(error, console)
    if not found:
        raise ValueError(
            f"compare: no evaluation of the {split} split below {', '.join(map(str, paths))} that can be read;"
            f" expected runs that python evaluate.py run=... split={split} has seen"
        )
    runs = ranked(found)
    console = console or Console()
    console.print(terminal_table(runs, console.width))
    files = [out / f"comparison.{suffix}" for suffix in ("md", "csv", "png")]
    table, picture = io.StringIO(newline=""), io.BytesIO()
    csv.writer(table).writerows(spreadsheet(runs))
    figure(runs).savefig(picture, format="png")
    write_file(files[0], markdown(runs))
    write_file(files[1], table.getvalue())
    write_file(files[2], picture.getbuffer())
    return files


def find_runs(paths: Sequence[Path], split: str) -> tuple[list[EvaluatedRun], list[UnreadableError]]:
    """Every run in or below the paths that has an evaluation of the split, once, and what cannot be read of them."""
    found: dict[Path, EvaluatedRun] = {}
    skipped: dict[Path, UnreadableError] = {}
    for path in paths:
        for file in sorted(path.rglob(f"evaluation/{split}/metrics.json")):
            folder = file.parents[2]
            if (place := folder.resolve()) in found or place in skipped:
                continue
            try:
                found[place] = _read(folder, file)
            except UnreadableError as error:
                skipped[place] = error
    return list(found.values()), list(skipped.values())


def _read(folder: Path, metrics_file: Path) -> EvaluatedRun:
    metrics, config = read_metrics(metrics_file), read_config(folder / "config.yaml")
    logged = read_log(folder / "metrics.jsonl")
    if steps := [line["train/step_seconds"] for line in logged if "train/step_seconds" in line]:
        metrics["step_ms"] = 1000 * median(steps)
    if peaks := [line["train/peak_memory_mb"] for line in logged if "train/peak_memory_mb" in line]:
        metrics["peak_memory_mb"] = max(peaks)
    return EvaluatedRun(folder, config, metrics)


def print_skipped(error: UnreadableError, console: Console | None = None) -> None:
    """One line, to standard error, for what cannot be used."""
    line = Text(f"skipped {printable(str(error))[:500]}")
    (console or Console(stderr=True)).print(line, soft_wrap=True)


def judged_by(runs: Sequence[EvaluatedRun]) -> list[Measure]:
    """What the runs are judged by, the score of their task first."""
    return headline({name: value for run in runs for name, value in run.metrics.items()})


def ranked(runs: Sequence[EvaluatedRun]) -> list[EvaluatedRun]:
    """The best first by the score of their task; runs that lack it come last, otherwise in the order of folders."""
    score = next((found for found in judged_by(runs) if found.better), None)
    if score is None:
        return list(runs)
    sign = 1 if score.better == "lower" else -1
    return sorted(runs, key=lambda run: sign * run.metrics.get(score.name, sign * math.inf))


def differing_keys(runs: Sequence[EvaluatedRun]) -> list[str]:
    """What is not the same in all configurations; a missing key is a difference too."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    chosen = [key for key in keys if not key.startswith(_INCIDENTAL)]
    return [key for key in chosen if len({json.dumps(run.config.get(key), default=str) for run in runs}) > 1]


def labels(runs: Sequence[EvaluatedRun]) -> list[str]:
    """A short name for each run: the classes that set it apart, what else does among those alike, or its folder."""
    keys = differing_keys(runs)
    names = _names(runs, [key for key in keys if key.endswith("_target_")] or keys)
    for name in [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        places = [place for place, other in enumerate(names) if other == name]
        alike = [runs[place] for place in places]
        details = _names(alike, differing_keys(alike))
        for place, run, detail in zip(places, alike, details, strict=True):
            detail = detail if detail and details.count(detail) == 1 else f"({run.folder.name})"
            names[place] = f"{name}, {detail}" if name else detail
    return [printable(name) for name in names]


def _names(runs: Sequence[EvaluatedRun], keys: Sequence[str]) -> list[str]:
    """The values of some keys in words; of texts the value alone."""
    named = ([_named(key, run.config[key]) for key in keys if key in run.config] for run in runs)
    return [", ".join(dict.fromkeys(words)) for words in named]  # data.seed is mostly the seed


def compared(runs: Sequence[EvaluatedRun], details: bool) -> list[Measure]:
    """What any of the runs was measured with: what they are judged by, texts, attention, other figures, then cost.

    Args:
        runs: to compare.
        details: baselines, intervals and variants, too.
    """
    known = [measure(name) for name in dict.fromkeys(name for run in runs for name in run.metrics)]
    chosen = judged_by(runs)
    for group in GROUPS:
        chosen += [found for found in known if found.group == group != "cost" and group != "counts"]
    chosen += [found for name in _COST for found in known if found.name == name]
    return [found for found in dict.fromkeys(chosen) if details or not found.detail]


def terminal_table(runs: Sequence[EvaluatedRun], width: int) -> Table:
    """What the runs are judged by and what they cost, as far as it fits into ``width``; the best of each in bold."""
    table = Table(box=box.SIMPLE)
    names = [label or run.folder.name for label, run in zip(labels(runs), runs, strict=True)]
    names = [shorten(name, _LABEL, placeholder="…") for name in names]
    table.add_column("run", no_wrap=True)
    rows: list[list[Text]] = [[Text(name)] for name in names]
    room = width - max(map(len, names)) - 4
    for found in (*judged_by(runs), *(each for each in compared(runs, details=False) if each.name in _COST)):
        texts = [Text(shown(found.name, run.metrics.get(found.name)), _style(run, runs, found)) for run in runs]
        title = found.title.split()
        room -= 3 + max(map(len, [*title, *(text.plain for text in texts)]))
        if room < 0:
            break
        table.add_column("\n".join(title), justify="right", no_wrap=True)
        for row, text in zip(rows, texts, strict=True):
            row.append(text)
    for row in rows:
        table.add_row(*row)
    return table


def _style(run: EvaluatedRun, runs: Sequence[EvaluatedRun], found: Measure) -> str:
    values = [other.metrics[found.name] for other in runs if found.name in other.metrics]
    best = {"higher": max, "lower": min}.get(found.better or "")
    return "bold green" if best and len(values) > 1 and run.metrics.get(found.name) == best(values) else ""


def markdown(runs: Sequence[EvaluatedRun]) -> str:
    """A table for people: folder, what differs, and every figure with its unit."""
    keys, columns = differing_keys(runs), compared(runs, details=True)
    lines = [["run", *keys, *(found.title for found in columns)]]
    lines.append(["---"] * len(lines[0]))
    for run in runs:
        figures = (shown(found.name, run.metrics.get(found.name)) for found in columns)
        lines.append([str(run.folder), *(_short(key, run.config.get(key)) for key in keys), *figures])
    return "".join("| " + " | ".join(map(_escaped, line)) + " |\n" for line in lines)


def spreadsheet(runs: Sequence[EvaluatedRun]) -> list[list[str | float]]:
    """Rows for programs: names as in metrics.json, numbers as they are."""
    keys, columns = differing_keys(runs), compared(runs, details=True)
    rows: list[list[str | float]] = [["run", *keys, *(found.name for found in columns)]]
    for run in runs:
        figures = (run.metrics.get(found.name, "") for found in columns)
        rows.append([str(run.folder), *(_short(key, run.config.get(key)) for key in keys), *figures])
    return [
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell for cell in row] for row in rows
    ]


def figure(runs: Sequence[EvaluatedRun]) -> Figure:
    """A panel for each of the main measures, baselines and intervals within them left out."""
    return draw_comparison(labels(runs), [run.metrics for run in runs], compared(runs, details=False))


def _short(key: str, value: Any) -> str:
    """A class by its own name; anything else as it is."""
    text = "" if value is None else printable(str(value)[:200])
    return text.rsplit(".", 1)[-1] if key.endswith("_target_") else text


def _named(key: str, value: Any) -> str:
    return _short(key, value) if isinstance(value, str) else f"{key.rpartition('.')[2]}={_short(key, value)}"


def _escaped(cell: str) -> str:
    """A cell of Markdown that says what it says, and nothing else."""
    plain = printable(cell).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in "\\|`*[]" else sign for sign in plain)
