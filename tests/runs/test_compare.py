from __future__ import annotations

import csv
import json
import os
from datetime import date
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from rich.console import Console

from multimodal_attn.__main__ import main
from multimodal_attn.runs.compare import (
    EvaluatedRun,
    differing_keys,
    figure,
    find_runs,
    labels,
    markdown,
    ranked,
    spreadsheet,
    terminal_table,
)

ADDITIVE, DOT = (
    f"multimodal_attn.models.attention.{name}" for name in ("additive.AdditiveAttention", "dot.DotAttention")
)


def write_run(folder: Path, target: str = ADDITIVE, seed: int = 0, log: str = "", **metrics: float) -> Path:
    config: dict[str, Any] = {
        "attention": {"_target_": target, "attention_dim": 8},
        "data": {"root": "x", "cache_dir": str(folder), "seed": seed},
        "seed": seed,
        "run_dir": str(folder),
        "callbacks": {"maps": {"run_dir": str(folder)}},
    }
    if target == DOT:
        config["attention"]["scale"] = True
    (folder / "evaluation" / "val").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.jsonl").write_text(log)
    (folder / "evaluation" / "val" / "metrics.json").write_text(json.dumps(metrics or {"wer": 0.5}))
    return folder


def runs_below(folder: Path) -> list[EvaluatedRun]:
    found, skipped = find_runs([folder], "val")
    assert not skipped
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    times = """{"step": 1, "train/step_seconds": 0.25, "train/peak_memory_mb": 512345.0}
        {"step": 2, "train/lo
        {"step": 3, "train/step_seconds": 0.75}"""
    write_run(tmp_path / "0", log=times, bleu_4=0.5, pointing_accuracy=0.25, num_parameters=120, num_looped=0)
    write_run(tmp_path / "1", DOT, bleu_4=0.75, attention_entropy=1.0, num_parameters=100)
    return tmp_path


def test_what_differs_is_named_and_what_is_incidental_is_not(sweep: Path) -> None:
    runs = runs_below(sweep)
    assert differing_keys(runs) == ["attention._target_", "attention.scale"]
    assert labels(runs) == ["AdditiveAttention", "DotAttention"]


def test_runs_with_one_configuration_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    assert labels(runs_below(tmp_path)) == ["(a)", "(b)"]


def test_runs_of_one_class_are_told_apart_by_what_differs_among_them(tmp_path: Path) -> None:
    for name, target, seed in (("a", ADDITIVE, 0), ("b", ADDITIVE, 1), ("c", DOT, 2)):
        write_run(tmp_path / name, target, seed)
    assert labels(runs_below(tmp_path)) == [*("AdditiveAttention, seed=0", "AdditiveAttention, seed=1", "DotAttention")]


def test_a_single_value_that_differs_is_the_name(tmp_path: Path) -> None:
    for seed in (3, 5):
        write_run(tmp_path / str(seed), seed=seed)
    assert labels(runs_below(tmp_path)) == ["seed=3", "seed=5"]


def test_the_best_run_comes_first(tmp_path: Path) -> None:
    for name, wer, cer in (("a", 0.3, 0.1), ("b", 0.1, 0.3), ("d", 0.2, 0.2)):
        write_run(tmp_path / name, wer=wer, cer=cer)
    write_run(tmp_path / "c", attention_entropy=0.5)
    assert [run.folder.name for run in ranked(runs_below(tmp_path))] == ["b", "d", "a", "c"]
    for name, value in (("a", 1.0), ("b", 3.0), ("d", 2.0)):
        write_run(tmp_path / "captions" / name, cider_d=value, wer_of_something_else=0.1)
    assert [run.folder.name for run in ranked(runs_below(tmp_path / "captions"))] == ["b", "d", "a"]


def test_the_table_for_people(sweep: Path) -> None:
    header, rule, *rows = markdown(ranked(runs_below(sweep))).splitlines()
    assert cells(header)[1:] == [
        *("attention._target_", "attention.scale", "BLEU-4", "Pointing accuracy"),
        *("Attention entropy", "Parameters", "Training step", "Peak memory"),
    ]
    assert set(rule) <= set("| -")
    assert cells(rows[0])[1:] == ["DotAttention", "True", "0.750", "", "1.000", "100", "", ""]
    assert cells(rows[1])[1:] == ["AdditiveAttention", "", "0.500", "25.0 %", "", "120", "500 ms", "512345 MB"]


def test_the_table_for_programs(sweep: Path) -> None:
    header, *rows = spreadsheet(ranked(runs_below(sweep)))
    assert header[3:] == [
        *("bleu_4", "pointing_accuracy", "attention_entropy", "num_parameters", "step_ms", "peak_memory_mb"),
    ]
    assert rows[1][3:] == [0.5, 0.25, "", 120, 500, 512345.0]


def test_the_table_in_the_terminal(sweep: Path) -> None:
    console = Console(file=StringIO(), width=140)
    console.print(terminal_table(ranked(runs_below(sweep)), 140))
    assert isinstance(console.file, StringIO)
    best, other = (line.split() for line in console.file.getvalue().splitlines() if "Attention " in line[:20])
    assert best == ["DotAttention", "0.750", "1.000", "100"]
    assert other == ["AdditiveAttention", "0.500", "25.0", "%", "120", "500", "ms", "512345", "MB"]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_table_never_breaks_a_number(sweep: Path, width: int) -> None:
    console = Console(file=StringIO(), width=width)
    console.print(terminal_table(ranked(runs_below(sweep)), width))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "AdditiveAttention" in text
    assert ("0.750" in text) == (width >= 40)


def test_the_figure_has_a_bar_for_each_run_that_was_measured(sweep: Path) -> None:
    panels = {axes.get_title(): axes for axes in figure(ranked(runs_below(sweep))).axes}
    widths = {title: [bar.get_width() for bar in axes.patches] for title, axes in panels.items()}
    assert widths["BLEU-4"] == [0.75, 0.5]  # in the order of the table
    assert widths["Pointing accuracy"] == [0.25]
    assert widths["Training step"] == [500]
    assert [text.get_text() for text in panels["Peak memory"].texts] == ["512345 MB"]
    best, other = (bar.get_facecolor() for bar in panels["BLEU-4"].patches)
    assert best != other


def test_baselines_stand_in_the_figure_of_what_they_belong_to(tmp_path: Path) -> None:
    write_run(tmp_path, pointing_accuracy=0.5, pointing_center=0.25, box_iou=0.5)
    panels = {axes.get_title(): axes for axes in figure(runs_below(tmp_path)).axes}
    pointing = "Pointing accuracy\nred line: always the center"
    assert list(panels) == [pointing, "Overlap with the box"]
    (line,) = panels[pointing].collections
    assert line.get_segments()[0][:, 0].tolist() == [0.25, 0.25]
    assert not panels["Overlap with the box"].collections


def test_files(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(sweep), "--out", str(sweep / "out")]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()[-3:]]
    assert [file.name for file in files] == ["comparison.md", "comparison.csv", "comparison.png"]
    lines = files[0].read_text().splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    with files[1].open() as table:
        assert len(list(csv.DictReader(table))) == 2
    assert Image.open(files[2]).width > 400


def test_a_run_that_is_named_twice_stands_once(sweep: Path) -> None:
    found, _ = find_runs([sweep, sweep / "0"], "val")
    assert len(found) == 2


def test_what_is_missing_is_named(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(sweep), "--split", "test"]) == 2
    assert "no evaluation of the test split" in capsys.readouterr().err


# Twenty lines that unfold to a million keys.
BOMB = "a: &a {p: x, q: x}\n" + "".join(
    f"{new}: &{new} {{p: *{old}, q: *{old}}}\n" for old, new in pairwise("abcdefghijklmnopqrst")
)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.yaml", None, "no such file"),
        ("config.yaml", b"- a list", "is not as a run writes it: it holds no configuration"),
        ("config.yaml", b"a: [1, 2", "is no yaml"),
        ("config.yaml", b"a: \x00", "is not as a run writes it"),
        ("config.yaml", b"\xff\xfe\x00", "is not UTF-8"),
        ("config.yaml", b"a: !!python/object/apply:os.system ['exit 1']", "is no yaml"),
        ("config.yaml", BOMB.encode(), "is not as a run writes it: it has more than 10000 keys"),
        ("config.yaml", b"a: &a {b: *a}", "is nested too deeply"),
        ("config.yaml", b"a: '" + b"x" * 2**20 + b"'", "is too large"),
        ("evaluation/val/metrics.json", b"[1, 2]", "holds no figures"),
        ("evaluation/val/metrics.json", b'{"wer": "low", "cer": null, "x": NaN, "y": true}', "holds no figures"),
        ("evaluation/val/metrics.json", b'{"wer": ', "is not as a run writes it"),
        ("evaluation/val/metrics.json", b"[" * 100_000, "is nested too deeply"),
        ("evaluation/val/metrics.json", b'{"wer": ' + b"9" * 5000 + b"}", "is not as a run writes it"),
    ],
)
def test_what_cannot_be_read_is_skipped_in_one_line(
    sweep: Path, file: str, content: bytes | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        (sweep / "1" / file).unlink()
    else:
        (sweep / "1" / file).write_bytes(content)
    assert main(["compare", str(sweep), "--out", str(sweep / "out")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"skipped {sweep / '1' / file}: {reason}")
    with (sweep / "out" / "comparison.csv").open() as table:
        assert [row["run"] for row in csv.DictReader(table)] == [str(sweep / "0")]


@pytest.mark.parametrize("kind", ["loop", "nowhere", "folder", "pipe", "huge"])
def test_what_is_no_file_is_skipped_too(sweep: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = sweep / "1" / "evaluation" / "val" / "metrics.json"
    file.unlink()
    if kind in ("loop", "nowhere"):
        file.symlink_to(file if kind == "loop" else sweep / "nowhere")
    elif kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        with file.open("wb") as sparse:
            sparse.truncate(2**40)
    assert main(["compare", str(sweep), "--out", str(sweep / "out")]) == 0
    captured = capsys.readouterr()
    assert (f"skipped {file}: " in captured.err) == (kind not in ("loop", "nowhere"))  # of these there is no evaluation
    with (sweep / "out" / "comparison.csv").open() as table:
        assert [row["run"] for row in csv.DictReader(table)] == [str(sweep / "0")]


def test_odd_lines_and_values_are_left_out(sweep: Path) -> None:
    log = '[]\nnull\n{"train/step_seconds": "fast"}\n{"train/step_seconds": 0.25}\n'
    (sweep / "0" / "metrics.jsonl").write_text(log)
    (sweep / "0" / "evaluation" / "val" / "metrics.json").write_text('{"wer": 0.5, "cer": Infinity, "cider_d": {}}')
    (run,) = (run for run in runs_below(sweep) if run.folder.name == "0")
    assert run.metrics == {"wer": 0.5, "step_ms": 250}


def test_names_do_nothing_where_they_are_shown(tmp_path: Path) -> None:
    evil = "=cmd|'x'!A1 [link](http://x) <img> *b* \x1b[2J"
    write_run(tmp_path / "a", wer=0.5)
    write_run(tmp_path / "b", wer=0.4)
    config = yaml.safe_load((tmp_path / "b" / "config.yaml").read_text()) | {"name": evil, "day": date(2026, 1, 1)}
    (tmp_path / "b" / "config.yaml").write_text(yaml.safe_dump(config))
    runs = ranked(runs_below(tmp_path))
    (row,) = (line for line in markdown(runs).splitlines() if "cmd" in line)
    assert "\x1b" not in row
    assert r"\[link\](http" in row
    assert "<img>" not in row
    rows = spreadsheet(runs)
    assert str(rows[1][rows[0].index("name")]).startswith("'=cmd")
    assert "\x1b" not in "".join(labels(runs))
