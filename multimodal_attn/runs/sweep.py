"""What a sweep has found: a table of what was varied and of the best value of each run, printed when it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multimodal_attn.measures import measure, shown
from multimodal_attn.runs.folders import read_config, read_log, read_overrides
from multimodal_attn.runs.printable import printable
from multimodal_attn.types import UnreadableError


@dataclass
class Job:
    """One run of a sweep.

    Attributes:
        folder: of the run.
        overrides: key -> value, as the command line gave them.
        monitor: what the run was judged by, such as ``val/wer``; empty where it has not come to that.
        best: the best value of it in any validation; None if there was none.
        lower_is_better: which way is better.
        reason: why there is no value, in words.
    """

    folder: Path
    overrides: dict[str, str]
    monitor: str = ""
    best: float | None = None
    lower_is_better: bool = False
    reason: str = ""


def read_sweep(folder: Path) -> list[Job]:
    """The jobs of a sweep, the best first and those without a value last, in the order of their numbers.

    Args:
        folder: of the sweep, with a folder for each job.
    """
    places = {file.parents[1] for file in folder.rglob(".hydra/overrides.yaml")}
    jobs = [_read(place) for place in sorted(places, key=lambda place: (len(place.name), str(place)))]
    return sorted(jobs, key=lambda job: math.inf if job.best is None else job.best * (1 if job.lower_is_better else -1))


def _read(folder: Path) -> Job:
    job = Job(folder, {})
    try:
        pairs = (
            override.lstrip("+").partition("=") for override in read_overrides(folder / ".hydra" / "overrides.yaml")
        )
        job.overrides = {key: value for key, _, value in pairs}
        config, logged = read_config(folder / "config.yaml"), read_log(folder / "metrics.jsonl")
    except UnreadableError as error:
        job.reason = error.reason
        return job
    job.monitor, job.lower_is_better = str(config.get("monitor.name", "")), config.get("monitor.mode") == "min"
    values = [line[job.monitor] for line in logged if job.monitor in line]
    if values:
        job.best = min(values) if job.lower_is_better else max(values)
    else:
        job.reason = "no validation"
    return job


def sweep_table(jobs: list[Job], title: str) -> Table:
    """A row for each job: what sets it apart from the others, its best value, its folder."""
    keys = dict.fromkeys(key for job in jobs for key in job.overrides)
    varied = [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1] or list(keys)
    table = Table(box=box.SIMPLE, title=Text(printable(title)), title_justify="left")
    for key in varied:
        table.add_column(Text(printable(key)))
    names = dict.fromkeys(job.monitor for job in jobs if job.best is not None)
    titles = [measure(name.removeprefix("val/")).title for name in names]
    table.add_column(Text("best " + " or ".join(titles) if titles else "best value"), justify="right")
    table.add_column("run", overflow="fold")
    for job in jobs:
        value = job.reason if job.best is None else shown(job.monitor.removeprefix("val/"), job.best)
        settings = (Text(printable(job.overrides.get(key, ""))) for key in varied)
        table.add_row(*settings, Text(printable(value)), Text(printable(str(job.folder))))
    return table


def print_sweep(folder: Path, console: Console | None = None) -> None:
    """Prints the table of a sweep; nothing if it has no job."""
    jobs = read_sweep(folder)
    if jobs:
        (console or Console()).print(sweep_table(jobs, str(folder)))


class SweepTable(Callback):
    """Prints the table when ``train.py -m`` has run its last job: ``hydra.callbacks.sweep_table._target_``."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        print_sweep(Path(str(config.hydra.sweep.dir)))
