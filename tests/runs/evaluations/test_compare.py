from __future__ import annotations

import csv
import json
import os
from datetime import date
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console

from multimodal_attn.__main__ import main
from multimodal_attn.evaluation.statistics import Median
from multimodal_attn.inspection.figures.comparison import draw_comparison
from multimodal_attn.runs.evaluations.compare import Comparison, figure_of, latex, markdown, spreadsheet, terminal_table
from multimodal_attn.runs.evaluations.evaluated import EvaluatedRun, differing_keys, find_runs, groups_of, labels
from multimodal_attn.runs.evaluations.example_statistics import read_statistics, write_statistics

ADDITIVE, DOT = (
    f"multimodal_attn.models.attention.{name}" for name in ("additive.AdditiveAttention", "dot.DotAttention")
)


SEARCHES = {
    "beam": {"_target_": "multimodal_attn.search.beam.BeamSearch", "width": 5},
    "greedy": {"_target_": "multimodal_attn.search.greedy.GreedySearch"},
}


def write_evaluation(folder: Path, name: str, search: str, metrics: dict[str, Any]) -> Path:
    evaluation = folder / "evaluation" / name
    evaluation.mkdir(parents=True)
    (evaluation / "config.yaml").write_text(yaml.safe_dump({"search": SEARCHES[search], "ensemble": []}))
    (evaluation / "metrics.json").write_text(json.dumps(metrics))
    return evaluation


def write_run(folder: Path, target: str = ADDITIVE, seed: int = 0, log: str = "", **metrics: float) -> Path:
    config: dict[str, Any] = {
        "attention": {"_target_": target, "attention_dim": 8},
        "data": {"root": "x", "cache_dir": str(folder), "seed": seed},
        "metrics": {"_target_": "multimodal_attn.evaluation.texts.transcripts.TranscriptScores"},
        "search": SEARCHES["greedy"],
        "seed": seed,
        "run_dir": str(folder),
        "callbacks": {"maps": {"run_dir": str(folder)}},
    }
    if target == DOT:
        config["attention"]["scale"] = True
    write_evaluation(folder, "val", "beam", metrics or {"wer": 0.5})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.jsonl").write_text(log)
    return folder


WORDS = "zero one two three four five six seven eight nine".split()


def write_predictions(folder: Path, wrong_every: int, seed: int = 0) -> None:
    """Forty recordings of five words; of every ``wrong_every``-th recording two words are wrong, and attention late."""
    random = np.random.default_rng(seed)
    lines, late = [], []
    for number in range(40):
        words = random.choice(WORDS, 5).tolist()
        wrong = number % wrong_every == 0
        text = " ".join([*words[:3], "x", "x"] if wrong else words)
        lines.append(json.dumps({"key": f"k{number}", "text": text, "references": [" ".join(words)]}))
        late.append(200.0 if wrong else 10.0 + number % 3)
    (folder / "evaluation" / "val" / "predictions.jsonl").write_text("".join(f"{line}\n" for line in lines))
    statistics = [Median("onset_error_ms", np.array(late), np.arange(40))]
    write_statistics(folder / "evaluation" / "val" / "statistics.npz", statistics)


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


def test_an_encoder_that_is_another_is_named_and_not_its_parts() -> None:
    streams = {"encoder._target_": "x.Streams", "encoder.streams.a._target_": "x.Net", "encoder.streams.a.dim": 8}
    other = {"encoder._target_": "x.Timm", "encoder.distortion._target_": "x.Colors"}
    part = streams | {"encoder.streams.a._target_": "x.Other"}
    alone, parts = (
        [EvaluatedRun(Path(str(n)), Path(str(n)), config, {}) for n, config in enumerate(configs)]
        for configs in ([streams, other], [streams, part])
    )
    assert labels(alone) == ["Streams", "Timm"]
    assert labels(parts) == ["Net", "Other"]


def test_runs_of_several_data_sets_are_named_by_these_and_by_what_differs_within_one() -> None:
    configs = [
        {"data._target_": "x.Photos", "encoder._target_": "x.Net", "tokenizer._target_": "x.Words"},
        *(
            {"data._target_": "x.Grid", "encoder._target_": "x.Lstm", "search._target_": f"x.{search}"}
            for search in ("Beam", "Greedy")
        ),
    ]
    runs = [EvaluatedRun(Path(str(n)), Path(str(n)), config, {}) for n, config in enumerate(configs)]
    assert labels(runs) == ["Photos", "Grid, Beam", "Grid, Greedy"]


def test_a_run_is_named_by_the_folder_that_it_started_from() -> None:
    for key, name in (("init_from", "init_from"), ("data.word_times", "word_times")):
        configs: list[dict[str, Any]] = [{key: "some/where/mlm"}, {key: None}]
        runs = [EvaluatedRun(Path(str(n)), Path(str(n)), config, {}) for n, config in enumerate(configs)]
        assert labels(runs) == [f"{name}=mlm", f"{name}=none"]


def test_runs_of_one_class_are_told_apart_by_what_differs_among_them(tmp_path: Path) -> None:
    for name, target, seed in (("a", ADDITIVE, 0), ("b", ADDITIVE, 1), ("c", DOT, 2)):
        write_run(tmp_path / name, target, seed)
    assert labels(runs_below(tmp_path)) == [*("AdditiveAttention, seed=0", "AdditiveAttention, seed=1", "DotAttention")]


def test_a_single_value_that_differs_is_the_name(tmp_path: Path) -> None:
    for seed in (3, 5):
        write_run(tmp_path / str(seed), seed=seed)
    assert labels(runs_below(tmp_path)) == ["seed=3", "seed=5"]


def test_the_best_group_comes_first(tmp_path: Path) -> None:
    for name, wer, cer in (("a", 0.3, 0.1), ("b", 0.1, 0.3), ("d", 0.2, 0.2)):
        write_run(tmp_path / name, f"own.{name}", wer=wer, cer=cer)
    write_run(tmp_path / "c", "own.c", attention_entropy=0.5)
    assert [group.label for group in groups_of(runs_below(tmp_path))] == ["b", "d", "a", "c"]
    for name, value in (("a", 1.0), ("b", 3.0), ("d", 2.0)):
        write_run(tmp_path / "captions" / name, f"own.{name}", cider_d=value, wer_of_something_else=0.1)
    assert [group.label for group in groups_of(runs_below(tmp_path / "captions"))] == ["b", "d", "a"]


def test_runs_that_differ_in_their_seed_are_one_row(tmp_path: Path) -> None:
    for seed, wer in ((3, 0.10), (5, 0.14)):
        write_run(tmp_path / f"dot{seed}", DOT, seed, wer=wer, num_parameters=100)
    write_run(tmp_path / "additive", ADDITIVE, 3, wer=0.2, num_parameters=120)
    comparison = Comparison(runs_below(tmp_path))
    assert [(group.label, len(group.runs)) for group in comparison.groups] == [
        *[("DotAttention", 2), ("AdditiveAttention", 1)]
    ]
    row = cells(markdown(comparison).splitlines()[2])
    assert row == ["DotAttention", "2", "**12.0 ± 2.8 %**", "100"]
    assert "standard deviation" in " ".join(comparison.notes())


def test_a_row_of_all_seeds_has_no_name_of_one_run(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / f"seed_{seed}", seed=seed, wer=0.1)
    runs = runs_below(tmp_path)
    for run in runs:
        run.config["name"] = "listen"
    assert [group.label for group in groups_of(runs)] == ["listen"]


def test_a_seed_of_the_data_that_stays_is_no_difference(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        folder = write_run(tmp_path / str(seed), DOT, seed, wer=0.1)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["data"]["seed"] = 0  # as the run's own for one of them
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert [len(group.runs) for group in groups_of(runs_below(tmp_path))] == [3]


def test_a_rule_that_is_off_is_none_and_a_second_evaluation_is_no_second_seed(tmp_path: Path) -> None:
    for name, more in (("a", {"forbidden": []}), ("b", {"no_repeat_ngram": 0, "prefix": None})):
        folder = write_run(tmp_path / name, seed=len(more), wer=0.1)
        search = {**SEARCHES["beam"], **more}
        (folder / "evaluation/val/config.yaml").write_text(
            yaml.safe_dump({"search": search, "ensemble": [], "tag": None})
        )
    assert [len(group.runs) for group in groups_of(runs_below(tmp_path))] == [2]
    write_evaluation(tmp_path / "a", "val_beam", "beam", {"wer": 0.1})
    tagged = write_evaluation(tmp_path / "a", "val_mine", "beam", {"wer": 0.1})
    (tagged / "config.yaml").write_text(yaml.safe_dump({"search": SEARCHES["beam"], "ensemble": [], "tag": "mine"}))
    groups = groups_of(runs_below(tmp_path))
    assert [(group.label, len(group.runs)) for group in groups] == [("(a, val)", 2), ("(a, val_beam)", 1), ("mine", 1)]


def test_the_same_seed_again_is_no_other_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1), ("copy", 0)):
        write_run(tmp_path / name, seed=seed, wer=0.1)
    assert [len(group.runs) for group in groups_of(runs_below(tmp_path))] == [2, 1]


def test_a_run_without_an_evaluation_and_a_path_without_a_run_are_told(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0", "2"):
        (sweep / name / "checkpoints").mkdir(parents=True)
    (sweep / "2" / "config.yaml").write_text("seed: 0\n")
    (sweep / "empty").mkdir()
    paths = [str(sweep), str(sweep / "empty"), str(sweep / "nowhere")]
    assert main(["compare", *paths, "--out", str(sweep / "out")]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"skipped {sweep / '2'}: has no evaluation of the val split",
        f"skipped {sweep / 'empty'}: holds no run",
        f"skipped {sweep / 'nowhere'}: holds no run",
    ]


def test_the_search_that_made_a_figure_is_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "a", wer=0.1)
    write_evaluation(tmp_path / "a", "val_greedy", "greedy", {"wer": 0.2})
    write_evaluation(tmp_path / "a", "test", "greedy", {"wer": 0.9})
    comparison = Comparison(runs_below(tmp_path))
    assert [(group.label, group.mean("wer")) for group in comparison.groups] == [
        *[("BeamSearch", 0.1), ("GreedySearch", 0.2)]
    ]
    rows = spreadsheet(comparison.runs)
    assert [row[rows[0].index("evaluation")] for row in rows[1:]] == ["val", "val_greedy"]


def test_what_does_not_differ_is_marked(tmp_path: Path) -> None:
    for name, target, every, wer in (("a", ADDITIVE, 20, 0.02), ("b", DOT, 13, 0.03), ("c", "own.Other", 2, 0.2)):
        write_run(tmp_path / name, target, wer=wer, onset_error_ms=11.0)
        write_predictions(tmp_path / name, every)
    comparison = Comparison(runs_below(tmp_path))
    assert comparison.tests.num_examples == 40
    assert [comparison.same(row, "wer") for row in range(3)] == [False, True, False]
    assert comparison.tests.differ(0, 2, "wer") is True
    assert comparison.tests.differ(0, 2, "onset_error_ms") is True  # from the statistics of attention
    assert comparison.tests.differ(0, 1, "attention_entropy") is None
    lines = markdown(comparison).splitlines()
    assert cells(lines[3])[2].startswith("≈ 3.0 %")
    assert "≈" not in lines[2] + lines[4]
    assert "paired bootstrap over the 40 examples" in markdown(comparison)
    assert r"$\approx$ 3.0 \%" in latex(comparison)


def test_examples_of_one_key_and_another_truth_are_not_paired(tmp_path: Path) -> None:
    for name, target, seed in (("a", ADDITIVE, 0), ("b", DOT, 1)):
        write_run(tmp_path / name, target, wer=0.1)
        write_predictions(tmp_path / name, 4, seed)
    comparison = Comparison(runs_below(tmp_path))
    assert comparison.tests.num_examples == 0
    assert "Nothing was tested" in " ".join(comparison.notes())


def test_a_row_has_its_interval_whatever_it_stands_beside(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / str(seed), ADDITIVE, seed, wer=0.1)
        write_predictions(tmp_path / str(seed), 4)
    alone = Comparison(runs_below(tmp_path)).interval(0, "wer")
    write_run(tmp_path / "captions", DOT, cider_d=0.5)
    comparison = Comparison(runs_below(tmp_path))
    assert comparison.tests.num_examples == 0
    assert alone is not None
    assert comparison.interval(0, "wer") == alone
    assert "those of another task" in " ".join(comparison.notes())


def test_unequal_sets_are_told(tmp_path: Path) -> None:
    for name, target in (("a", ADDITIVE), ("b", DOT)):
        write_run(tmp_path / name, target, wer=0.1)
        write_predictions(tmp_path / name, 4)
    assert "different examples" not in " ".join(Comparison(runs_below(tmp_path)).notes())
    file = tmp_path / "b" / "evaluation" / "val" / "predictions.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:30]))
    comparison = Comparison(runs_below(tmp_path))
    assert comparison.tests.num_examples == 30
    assert "evaluated on different examples" in " ".join(comparison.notes())


def test_seeds_are_part_of_the_doubt(tmp_path: Path) -> None:
    for name, target, seed, every in (
        *(("a0", ADDITIVE, 0, 40), ("a1", ADDITIVE, 1, 2), ("a2", ADDITIVE, 2, 40)),
        *(("b0", DOT, 0, 4), ("b1", DOT, 1, 4), ("b2", DOT, 2, 4)),
    ):
        write_run(tmp_path / name, target, seed, wer=0.4 / every)
        write_predictions(tmp_path / name, every)
    comparison = Comparison(runs_below(tmp_path))
    noisy, steady = (comparison.tests.interval(row, "wer") for row in (0, 1))
    if comparison.groups[0].label != "AdditiveAttention":
        noisy, steady = steady, noisy
    assert noisy is not None
    assert steady is not None
    assert noisy[1] - noisy[0] > 1.3 * (steady[1] - steady[0])


def test_runs_without_common_examples_are_not_tested(sweep: Path) -> None:
    comparison = Comparison(runs_below(sweep))
    assert comparison.tests.num_examples == 0
    assert not comparison.same(1, "bleu_4")
    assert "Nothing was tested" in " ".join(comparison.notes())


@pytest.mark.parametrize(
    "content", [b"", b"no json", b'{"key": "k0"}\n', b'{"key": "k0", "text": 1, "references": []}\n', b"[" * 100_000]
)
def test_predictions_that_cannot_be_read_are_not_tested(sweep: Path, content: bytes) -> None:
    for name in ("0", "1"):
        write_predictions(sweep / name, 2)
    (sweep / "1" / "evaluation" / "val" / "predictions.jsonl").write_bytes(content)
    assert Comparison(runs_below(sweep)).tests.num_examples == 0
    (sweep / "0" / "evaluation" / "val" / "statistics.npz").write_bytes(b"torn")
    assert read_statistics(sweep / "0" / "evaluation" / "val" / "statistics.npz", {0: 0}) == []


def test_the_table_for_people(sweep: Path) -> None:
    header, rule, *rows = markdown(Comparison(runs_below(sweep))).splitlines()
    assert cells(header) == [
        *("run", "runs", "BLEU-4", "Pointing accuracy", "Attention entropy", "Parameters", "Training step"),
        "Peak memory",
    ]
    assert set(rule) <= set("| -")
    assert cells(rows[0]) == ["DotAttention", "1", "**0.750**", "", "1.000", "100", "", ""]
    assert cells(rows[1]) == ["AdditiveAttention", "1", "0.500", "25.0 %", "", "120", "500 ms", "512345 MB"]


def test_the_figures_can_be_chosen(sweep: Path) -> None:
    comparison = Comparison(runs_below(sweep), ["pointing_accuracy", "num_looped"])
    assert cells(markdown(comparison).splitlines()[0])[2:] == ["Pointing accuracy", "Looped texts"]
    with pytest.raises(ValueError, match=r"--metrics: bleu4; expected some of .*bleu_4"):
        Comparison(runs_below(sweep), ["bleu4"])


def test_the_table_for_papers(sweep: Path) -> None:
    lines = latex(Comparison(runs_below(sweep))).splitlines()
    assert [line for line in lines if "DotAttention" in line] == [
        r"DotAttention & 1 & \textbf{0.750} &  & 1.000 & 100 &  &  \\"
    ]
    assert all(line.count(" & ") in (0, 7) for line in lines if "%" not in line)


def test_the_table_for_programs(sweep: Path) -> None:
    metrics = {"bleu_4": 0.5, "pointing_accuracy": 0.25, "intervals": {"bleu_4": [0.4, 0.6], "odd": [1], "x": "y"}}
    (sweep / "0" / "evaluation" / "val" / "metrics.json").write_text(json.dumps(metrics))
    header, *rows = spreadsheet(runs_below(sweep))
    figures = ["bleu_4", "pointing_accuracy", "attention_entropy", "num_parameters", "step_ms", "peak_memory_mb"]
    assert header == [
        "run",
        "evaluation",
        "attention._target_",
        "attention.scale",
        *figures,
        "bleu_4_low",
        "bleu_4_high",
    ]
    assert rows[0][4:] == [0.5, 0.25, "", "", 500, 512345.0, 0.4, 0.6]


def test_the_table_in_the_terminal(sweep: Path) -> None:
    console = Console(file=StringIO(), width=140)
    console.print(terminal_table(Comparison(runs_below(sweep)), 140))
    assert isinstance(console.file, StringIO)
    best, other = (line.split() for line in console.file.getvalue().splitlines() if "Attention " in line[:20])
    assert best == ["DotAttention", "0.750", "1.000", "100"]
    assert other == ["AdditiveAttention", "0.500", "25.0", "%", "120", "500", "ms", "512345", "MB"]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_table_never_breaks_a_number(sweep: Path, width: int) -> None:
    console = Console(file=StringIO(), width=width)
    console.print(terminal_table(Comparison(runs_below(sweep)), width))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "AdditiveAttention" in text
    assert ("0.750" in text) == (width >= 40)


def test_the_figure_has_a_row_for_each_group_and_a_dot_for_its_attention(tmp_path: Path) -> None:
    for name, target, seed, wer, late in (
        *(("a", ADDITIVE, 0, 0.2, 60.0), ("b", ADDITIVE, 1, 0.3, 80.0)),
        ("c", DOT, 0, 0.1, 40.0),
    ):
        log = '{"train/step_seconds": 0.05}' if target == DOT else '{"train/step_seconds": 0.1}'
        write_run(tmp_path / name, target, seed, log, wer=wer, onset_error_ms=late, onset_even_ms=110.0)
    scores, attention = draw_comparison(*figure_of(Comparison(runs_below(tmp_path)))).axes
    assert [label.get_text() for label in scores.get_yticklabels()] == ["DotAttention  1", "AdditiveAttention  2"]
    assert [text.get_text() for text in scores.texts] == ["10.0 %", "25.0 %"]
    assert scores.xaxis_inverted()  # fewer errors stand further to the right
    places = [(dots.get_offsets()[0].tolist(), dots.get_sizes()[0]) for dots in attention.collections[:2]]
    assert [place for place, _ in places] == [[0.1, 40.0], [0.25, 70.0]]
    assert places[1][1] == pytest.approx(2 * places[0][1])  # twice the time of a step
    assert [text.get_text() for text in attention.texts] == ["1", "2", "Words spread evenly: 110 ms"]


def test_rows_at_one_place_of_the_figure_share_their_numbers(tmp_path: Path) -> None:
    for name, target in (("a", ADDITIVE), ("b", DOT), ("c", "own.Other")):
        late = 30.0 if name == "c" else 40.0
        write_run(tmp_path / name, target, wer=0.00167, onset_error_ms=late, onset_even_ms=110.0)
    _, attention = draw_comparison(*figure_of(Comparison(runs_below(tmp_path)))).axes
    assert [text.get_text() for text in attention.texts][:2] == ["1, 2", "3"]
    attention.figure.canvas.draw()
    ticks = [label.get_text() for label in attention.get_xticklabels()]
    assert len(set(ticks)) == len(ticks)


def test_the_figure_of_runs_without_a_truth_of_attention_has_one_panel(tmp_path: Path) -> None:
    write_run(tmp_path / "a", wer=0.2)
    assert len(draw_comparison(*figure_of(Comparison(runs_below(tmp_path)))).axes) == 1
    write_run(tmp_path / "b" / "c", attention_entropy=0.2)
    assert len(draw_comparison(*figure_of(Comparison(runs_below(tmp_path / "b")))).axes) == 1


def test_files(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(sweep), "--out", str(sweep / "out")]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()[-4:]]
    assert [file.name for file in files] == [f"comparison.{suffix}" for suffix in ("md", "csv", "tex", "png")]
    lines = [line for line in files[0].read_text().splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    with files[1].open() as table:
        assert len(list(csv.DictReader(table))) == 2
    assert Image.open(files[3]).width > 400


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
    comparison = Comparison(runs_below(tmp_path))
    (row,) = (line for line in markdown(comparison).splitlines() if "cmd" in line)
    assert "\x1b" not in row
    assert r"\[link\](http" in row
    assert "<img>" not in row
    rows = spreadsheet(comparison.runs)
    assert str(rows[1][rows[0].index("name")]).startswith("'=cmd")
    assert "\x1b" not in "".join(group.label for group in comparison.groups)
