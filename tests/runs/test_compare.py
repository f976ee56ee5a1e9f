from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from multimodal_attn.__main__ import main
from multimodal_attn.runs.compare import compare, differing_keys, figure, find_runs, labels, tabulate

ADDITIVE, DOT = (
    f"multimodal_attn.models.attention.{name}" for name in ("additive.AdditiveAttention", "dot.DotAttention")
)


def write_run(folder: Path, target: str = ADDITIVE, seed: int = 0, log: str = "", **metrics: float) -> Path:
    config: dict[str, Any] = {
        "attention": {"_target_": target, "attention_dim": 8},
        "data": {"root": "x", "cache_dir": str(folder), "module": {"root": "x", "seed": seed}},
        "seed": seed,
        "run_dir": str(folder),
        "callbacks": {"maps": {"run_dir": str(folder)}},
    }
    if target == DOT:
        config["attention"]["scale"] = True
    (folder / "evaluation" / "val").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.jsonl").write_text(log)
    (folder / "evaluation" / "val" / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    times = """{"step": 1, "train/step_seconds": 0.25, "train/peak_memory_mb": 300.0}
        {"step": 2, "train/lo
        {"step": 3, "train/step_seconds": 0.75}"""
    write_run(tmp_path / "0", log=times, bleu_4=0.5, pointing_accuracy=0.25, num_parameters=120, num_looped=0)
    write_run(tmp_path / "1", DOT, bleu_4=0.75, attention_entropy=1.0, num_parameters=100)
    return tmp_path


def test_what_differs_is_named_and_what_is_incidental_is_not(sweep: Path) -> None:
    runs = find_runs([sweep], "val")
    assert differing_keys(runs) == ["attention._target_", "attention.scale"]
    assert labels(runs) == ["AdditiveAttention", "DotAttention"]


def test_runs_with_one_configuration_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    assert labels(find_runs([tmp_path], "val")) == ["(a)", "(b)"]


def test_runs_of_one_class_are_told_apart_by_what_differs_among_them(tmp_path: Path) -> None:
    for name, target, seed in (("a", ADDITIVE, 0), ("b", ADDITIVE, 1), ("c", DOT, 2)):
        write_run(tmp_path / name, target, seed)
    assert labels(find_runs([tmp_path], "val")) == [
        *("AdditiveAttention, seed=0", "AdditiveAttention, seed=1", "DotAttention")
    ]


def test_a_single_value_that_differs_is_the_name(tmp_path: Path) -> None:
    for seed in (3, 5):
        write_run(tmp_path / str(seed), seed=seed)
    assert labels(find_runs([tmp_path], "val")) == ["seed=3", "seed=5"]


def test_the_table(sweep: Path) -> None:
    columns, rows = tabulate(find_runs([sweep], "val"))
    assert columns[1:] == [
        *("attention._target_", "attention.scale"),
        *("num_parameters", "step_ms", "peak_memory_mb", "bleu_4", "pointing_accuracy", "attention_entropy"),
    ]
    assert rows[0] == [str(sweep / "0"), "AdditiveAttention", "", "120", "500", "300", "0.5", "0.25", ""]
    assert rows[1] == [str(sweep / "1"), "DotAttention", "True", "100", "", "", "0.75", "", "1"]


def test_the_figure_has_a_bar_for_each_run_that_was_measured(sweep: Path) -> None:
    panels = {
        axes.get_title(): [bar.get_width() for bar in axes.patches] for axes in figure(find_runs([sweep], "val")).axes
    }
    assert panels["BLEU-4 ↑"] == [0.75, 0.5]  # the best first
    assert panels["Pointing accuracy ↑"] == [0.25]
    assert panels["Training step ↓"] == [500]


def test_files(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(sweep), "--out", str(sweep / "out")]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [file.name for file in files] == ["comparison.md", "comparison.csv", "comparison.png"]
    lines = files[0].read_text().splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    with files[1].open() as table:
        assert len(list(csv.DictReader(table))) == 2
    assert Image.open(files[2]).width > 400


def test_a_run_that_is_named_twice_stands_once(sweep: Path) -> None:
    assert len(find_runs([sweep, sweep / "0"], "val")) == 2


def test_what_is_missing_is_named(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(sweep), "--split", "test"]) == 2
    assert "no evaluation of the test split" in capsys.readouterr().err
    (sweep / "1" / "config.yaml").unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        compare([sweep], "val", tmp_path / "out")
