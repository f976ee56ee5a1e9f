"""Evaluated runs side by side, the best first: comparison.md, .csv, .tex, .png, and the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multimodal_attn.inspection.figures.comparison import Row, draw_comparison
from multimodal_attn.inspection.figures.png import as_png
from multimodal_attn.measures import GROUPS, Measure, beside, measure, shown, shown_interval, shown_spread
from multimodal_attn.runs.evaluations.evaluated import (
    EvaluatedRun,
    differing_keys,
    find_runs,
    groups_of,
    judged_by,
    short,
    task_score,
)
from multimodal_attn.runs.evaluations.significance import Significance
from multimodal_attn.runs.printable import printable
from multimodal_attn.types import UnreadableError
from multimodal_attn.writing import write_file

_COST = ("num_parameters", "step_ms", "peak_memory_mb")
_LABEL, _LINES = 40, 3  # of the name of a group in the terminal: its longest line, and how many
_NAMES = ("run", "runs")  # columns of the terminal that hold no figures
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a text that begins with one of these
SAME = "≈"
"""Stands before a figure that does not differ from that of the first row."""


class Comparison:
    """Groups of runs and the figures that they are shown with.

    Args:
        runs: to compare.
        names: of the figures; None for what the runs are judged by, and their cost.

    Raises:
        ValueError: for a figure that no run has.
    """

    def __init__(self, runs: Sequence[EvaluatedRun], names: Sequence[str] | None = None) -> None:
        self.groups = groups_of(runs)
        self.runs = [run for group in self.groups for run in group.runs]
        known = {name for run in runs for name in run.metrics}
        if unknown := [name for name in names or () if name not in known]:
            raise ValueError(f"--metrics: {', '.join(unknown)}; expected some of {', '.join(sorted(known))}")
        if names:
            self.columns = [measure(name) for name in names]
        else:
            self.columns = [*judged_by(runs), *(measure(name) for name in _COST if name in known)]
        self.score = task_score(runs)
        self.tests = Significance(self.groups)

    def interval(self, group: int, name: str) -> tuple[float, float] | None:
        """Of a group: the evaluation's own for a single run."""
        runs = self.groups[group].runs
        return runs[0].intervals.get(name) if len(runs) == 1 else self.tests.interval(group, name)

    def same(self, group: int, name: str) -> bool:
        """Whether a figure was tested and does not differ from that of the first row."""
        return group > 0 and self.tests.differ(0, group, name) is False

    def cell(self, group: int, found: Measure) -> str:
        """A figure with the standard deviation over seeds, marked where it does not differ."""
        mean, deviation = self.groups[group].mean(found.name), self.groups[group].deviation(found.name)
        if mean is None:
            return ""
        constant = deviation is None or found.unit == "count"
        text = shown(found.name, mean) if constant else shown_spread(found.name, mean, deviation or 0.0)
        return f"{SAME} {text}" if self.same(group, found.name) else text

    def best(self, group: int, found: Measure) -> bool:
        """Whether no other group is better."""
        means = [mean for each in self.groups if (mean := each.mean(found.name)) is not None]
        choose = {"higher": max, "lower": min}.get(found.better or "")
        return choose is not None and len(means) > 1 and self.groups[group].mean(found.name) == choose(means)

    def notes(self) -> list[str]:
        """What a reader must know of the figures."""
        notes = []
        if any(len(group.runs) > 1 for group in self.groups):
            notes.append("±: standard deviation over the runs of a row, which differ in their seed alone.")
        if self.score is not None and any(self.interval(n, self.score.name) for n in range(len(self.groups))):
            notes.append(f"In brackets: 95 % interval of {self.score.title}, over examples, and over seeds if several.")
        if self.score is not None and any(group.mean(self.score.name) is None for group in self.groups):
            notes.append(f"Rows are sorted by {self.score.title}; those of another task, which have none, come last.")
        if len(self.groups) > 1 and self.tests.num_examples > 1:
            notes.append(
                f"{SAME}: does not differ from the first row (paired bootstrap over the {self.tests.num_examples}"
                " examples that all runs have, 95 %, not corrected for the number of tests)."
            )
        elif len(self.groups) > 1:
            notes.append("Nothing was tested: the runs have no predictions of the same examples.")
        if self.tests.most_examples > self.tests.num_examples > 1:
            notes.append("The runs were evaluated on different examples, and their figures are over all of their own.")
        return notes


def compare(
    paths: Sequence[Path],
    split: str,
    out: Path,
    console: Console | None = None,
    metrics: Sequence[str] | None = None,
) -> list[Path]:
    """Prints and writes the tables and the figure of all evaluated runs in or below the paths.

    Args:
        paths: folders of runs, or folders that hold such folders.
        split: whose evaluations.
        out: folder for the files; it is made.
        console: to print to; standard output if None.
        metrics: names of the figures to show; None for what the runs are judged by.

    Returns:
        The files.

    Raises:
        ValueError: if there is no evaluated run that can be read, or a figure is unknown.
    """
    if Path(split).name != split:
        raise ValueError(f"--split: {split!r}; expected the name of a split, such as val")
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
    comparison = Comparison(found, metrics)
    console = console or Console()
    printed = terminal_table(comparison, console.width)
    console.print(printed)
    names = sum(column.header in _NAMES for column in printed.columns)
    if hidden := [found.title for found in comparison.columns[len(printed.columns) - names :]]:
        console.print(f"In the files alone, for want of width: {', '.join(hidden)}.", style="dim", highlight=False)
    for note in comparison.notes():
        console.print(note, style="dim", highlight=False)
    table = io.StringIO(newline="")
    csv.writer(table).writerows(spreadsheet(comparison.runs))
    content: dict[str, str | memoryview] = {
        "md": markdown(comparison),
        "csv": table.getvalue(),
        "tex": latex(comparison),
        "png": as_png(draw_comparison(*figure_of(comparison))),
    }
    for suffix, text in content.items():
        write_file(out / f"comparison.{suffix}", text)
    return [out / f"comparison.{suffix}" for suffix in content]


def print_skipped(error: UnreadableError, console: Console | None = None) -> None:
    """One line, to standard error, for what cannot be used."""
    line = Text(f"skipped {printable(str(error))[:500]}")
    (console or Console(stderr=True)).print(line, soft_wrap=True)


def terminal_table(comparison: Comparison, width: int) -> Table:
    """What the runs are judged by and what they cost, as far as it fits into ``width``; the best of each in bold."""
    table = Table(box=box.SIMPLE)
    names = [fill(group.label, _LABEL, max_lines=_LINES, placeholder="…") for group in comparison.groups]
    several = any(len(group.runs) > 1 for group in comparison.groups)
    table.add_column(_NAMES[0], no_wrap=True)
    rows: list[list[Text]] = [[Text(name)] for name in names]
    room = width - max(len(line) for name in names for line in name.split("\n")) - 4
    if several:
        table.add_column(_NAMES[1], justify="right", no_wrap=True)
        room -= 7
        for row, group in zip(rows, comparison.groups, strict=True):
            row.append(Text(str(len(group.runs))))
    for found in comparison.columns:
        texts = [_terminal_cell(comparison, number, found) for number in range(len(rows))]
        title = found.title.split()
        room -= 3 + max(map(len, [*title, *(line for text in texts for line in text.plain.split("\n"))]))
        if room < 0:
            break
        table.add_column("\n".join(title), justify="right", no_wrap=True)
        for row, text in zip(rows, texts, strict=True):
            row.append(text)
    for row in rows:
        table.add_row(*row)
    return table


def _terminal_cell(comparison: Comparison, group: int, found: Measure) -> Text:
    best = comparison.best(group, found)
    text = Text(comparison.cell(group, found), "bold green" if best else "")
    ends = comparison.interval(group, found.name)
    if found == comparison.score and ends is not None:
        text.append(f"\n({shown_interval(found.name, ends)})", "dim not bold")
    return text


def _cells(comparison: Comparison, group: int) -> list[str]:
    """A row of a document: the figures, with the interval of the task's score."""
    cells = []
    for found in comparison.columns:
        ends = comparison.interval(group, found.name)
        told = f" ({shown_interval(found.name, ends)})" if found == comparison.score and ends else ""
        cells.append(comparison.cell(group, found) + told)
    return cells


def markdown(comparison: Comparison) -> str:
    """A table for people, the best of each column in bold, and what its signs mean."""
    lines = [["run", "runs", *(found.title for found in comparison.columns)]]
    lines.append(["---"] * len(lines[0]))
    for number, group in enumerate(comparison.groups):
        cells = [_escaped(cell) for cell in _cells(comparison, number)]
        for place, found in enumerate(comparison.columns):
            if comparison.best(number, found):
                cells[place] = f"**{cells[place]}**"
        lines.append([_escaped(group.label), str(len(group.runs)), *cells])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return table + "".join(f"\n- {note}" for note in comparison.notes()) + "\n"


def latex(comparison: Comparison) -> str:
    r"""The same table for a paper; it needs ``\usepackage{booktabs}``."""
    columns = "".join(r" & \textbf{" + _tex(found.title) + "}" for found in comparison.columns)
    rows = []
    for number, group in enumerate(comparison.groups):
        cells = [_tex(cell) for cell in _cells(comparison, number)]
        for place, found in enumerate(comparison.columns):
            if comparison.best(number, found):
                cells[place] = r"\textbf{" + cells[place] + "}"
        rows.append(" & ".join([_tex(group.label), str(len(group.runs)), *cells]) + r" \\")
    notes = [f"% {note}" for note in comparison.notes()]
    head = [r"\begin{tabular}{lr" + "r" * len(comparison.columns) + "}", r"\toprule", f" & runs{columns} \\\\"]
    return "\n".join([*notes, *head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", ""])


def compared(runs: Sequence[EvaluatedRun]) -> list[Measure]:
    """What any of the runs was measured with: what they are judged by, texts, attention, other figures, then cost."""
    known = [measure(name) for name in dict.fromkeys(name for run in runs for name in run.metrics)]
    chosen = judged_by(runs)
    for group in GROUPS:
        chosen += [found for found in known if found.group == group != "cost" and group != "counts"]
    chosen += [found for name in _COST for found in known if found.name == name]
    return list(dict.fromkeys(chosen))


def spreadsheet(runs: Sequence[EvaluatedRun]) -> list[list[str | float]]:
    """Rows for programs, one for each run: names as in metrics.json, numbers as they are, intervals behind them."""
    keys, columns = differing_keys(runs), compared(runs)
    bounded = [found for found in columns if any(found.name in run.intervals for run in runs)]
    ends = [f"{found.name}_{end}" for found in bounded for end in ("low", "high")]
    rows: list[list[str | float]] = [["run", "evaluation", *keys, *(found.name for found in columns), *ends]]
    for run in runs:
        figures: list[str | float] = [run.metrics.get(found.name, "") for found in columns]
        for found in bounded:
            figures += run.intervals.get(found.name, ("", ""))
        values = (short(key, run.config[key]) if key in run.config else "" for key in keys)
        rows.append([str(run.folder), run.evaluation.name, *values, *figures])
    return [
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell for cell in row] for row in rows
    ]


def figure_of(comparison: Comparison) -> tuple[list[Row], Measure | None, Measure | None, float | None]:
    """What ``draw_comparison`` takes: the rows, the task's score, what the attention is worth, and its baseline."""
    runs, score = comparison.runs, comparison.score
    attention = next((m for m in judged_by(runs) if m.group == "attention" and m.better and m != score), None)
    rows = [
        Row(
            group.label,
            group.values(score.name) if score else [],
            comparison.interval(number, score.name) if score else None,
            group.values(attention.name) if attention else [],
            group.mean("step_ms"),
            score is not None and comparison.same(number, score.name),
        )
        for number, group in enumerate(comparison.groups)
    ]
    found = [] if attention is None else [beside(run.metrics, attention) for run in runs]
    known = [value for value in found if value is not None]
    return rows, score, attention, sum(known) / len(known) if known else None


def _escaped(cell: str) -> str:
    """A cell of Markdown that says what it says, and nothing else."""
    plain = printable(cell).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in "\\|`*[]" else sign for sign in plain)


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    SAME: r"$\approx$",
    "±": r"$\pm$",
}


def _tex(cell: str) -> str:
    """A cell of LaTeX that says what it says, and nothing else."""
    return "".join(_TEX.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in printable(cell))
