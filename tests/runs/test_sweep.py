from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import yaml
from rich.console import Console

from multimodal_attn.runs.sweep import print_sweep, read_sweep


def write_job(
    folder: Path, overrides: list[str], values: list[float] | None = None, name: str = "val/wer", mode: str = "min"
) -> None:
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    if values is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump({"monitor": {"name": name, "mode": mode}}))
        lines = [{"step": step, name: value} for step, value in enumerate(values)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def printed(folder: Path) -> list[list[str]]:
    console = Console(file=StringIO(), width=200)
    print_sweep(folder, console)
    assert isinstance(console.file, StringIO)
    return [line.split() for line in console.file.getvalue().splitlines() if line.strip()]


def test_jobs_are_sorted_by_their_best_value(tmp_path: Path) -> None:
    write_job(tmp_path / "0", ["data=digits", "seed=0"], [0.5, 0.25, 0.3])
    write_job(tmp_path / "1", ["data=digits", "seed=1"], [0.125])
    write_job(tmp_path / "2", ["data=digits", "seed=2"])  # failed before it wrote anything
    write_job(tmp_path / "10", ["data=digits", "seed=10"], [])
    assert [job.folder.name for job in read_sweep(tmp_path)] == ["1", "0", "2", "10"]
    title, header, _, *rows = printed(tmp_path)
    assert title == [str(tmp_path)]
    assert header == ["seed", "best", "Word", "error", "rate", "run"]
    assert rows[0] == ["1", "12.5", "%", str(tmp_path / "1")]
    assert rows[1] == ["0", "25.0", "%", str(tmp_path / "0")]
    assert rows[2][:2] == ["2", "no"]
    assert rows[3][:3] == ["10", "no", "validation"]


def test_higher_may_be_better(tmp_path: Path) -> None:
    write_job(tmp_path / "0", ["a=1"], [1.0, 2.0], "val/cider_d", "max")
    write_job(tmp_path / "1", ["+b=[x=y]"], [3.0], "val/my_score", "max")
    assert [(job.folder.name, job.best) for job in read_sweep(tmp_path)] == [("1", 3.0), ("0", 2.0)]
    _, header, _, *rows = printed(tmp_path)
    assert header == ["b", "a", "best", "my_score", "or", "CIDEr-D", "run"]
    assert rows[0][:2] == ["[x=y]", "3.000"]


def test_nothing_to_say(tmp_path: Path) -> None:
    assert printed(tmp_path) == []


def test_odd_folders_take_a_line_each(tmp_path: Path) -> None:
    write_job(tmp_path / "0", ["a=1"], [1.0])
    write_job(tmp_path / "1", ["a=2"], [1.0])
    (tmp_path / "1" / "config.yaml").write_text("- no configuration")
    write_job(tmp_path / "2", ["a=[red]\x1b[2J"], [0.5])
    write_job(tmp_path / "3", ["a=3"])
    (tmp_path / "3" / ".hydra" / "overrides.yaml").write_text("a: {b: c}")
    rows = printed(tmp_path)[3:]
    assert [row[0] for row in rows[:2]] == ["[red]\\x1b[2J", "1"]
    assert len(rows) == 4


APP = """
import hydra, json, pathlib, yaml
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base="1.3", config_path=None)
def main(config):
    folder = pathlib.Path(HydraConfig.get().runtime.output_dir)
    (folder / "config.yaml").write_text(yaml.safe_dump({"monitor": {"name": "val/wer", "mode": "min"}}))
    (folder / "metrics.jsonl").write_text(json.dumps({"val/wer": config.rate}))

main()
"""


def test_hydra_prints_it_when_a_sweep_ends(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    callback = "+hydra.callbacks.sweep_table._target_=multimodal_attn.runs.sweep.SweepTable"
    command = [sys.executable, "app.py", "-m", "+rate=0.5,0.25", "hydra.sweep.dir=sweep", callback]
    environment = {"PYTHONPATH": str(repository), "PATH": "", "COLUMNS": "120"}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    rows = [line.split() for line in found.stdout.splitlines() if "sweep/" in line]
    assert rows == [["0.25", "25.0", "%", "sweep/1"], ["0.5", "50.0", "%", "sweep/0"]]
