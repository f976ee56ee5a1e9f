"""Evaluated runs side by side: comparison.md, comparison.csv and comparison.png."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from matplotlib.figure import Figure

from multimodal_attn.inspection.figures.comparison import draw_comparison

# What says nothing of a run but where it lies and how it was watched.
_INCIDENTAL = ("run_dir", "cache_dir", "data.cache_dir", "resume", "callbacks.", "logger.")
# Measures of text that the table shows; of attention it shows all.
_TASK = ("bleu_4", "rouge_l", "cider_d", "meteor", "spice", "distinct_captions", "wer", "cer", "bleu", "chrf")
_ATTENTION = ("pointing_", "box_", "alignment_", "onset_", "offset_", "attention_", "faithfulness_")
_COST = ("num_parameters", "step_ms", "peak_memory_mb")


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


def compare(paths: Sequence[Path], split: str, out: Path) -> list[Path]:
    """Writes the table and the figure of all evaluated runs in or below the paths.

    Args:
        paths: folders of runs, or folders that hold such folders.
        split: whose evaluation.
        out: folder for the files; it is made.

    Returns:
        The files.

    Raises:
        ValueError: if there is no evaluated run, or a file of one cannot be read.
    """
    runs = find_runs(paths, split)
    columns, rows = tabulate(runs)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"comparison.{suffix}" for suffix in ("md", "csv", "png")]
    files[0].write_text(_markdown(columns, rows), encoding="utf-8")
    with files[1].open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    figure(runs).savefig(files[2])
    return files


def find_runs(paths: Sequence[Path], split: str) -> list[EvaluatedRun]:
    """Every run in or below the paths that has an evaluation of the split, once, in the order of its folder."""
    found: dict[Path, EvaluatedRun] = {}
    for path in paths:
        for file in sorted(path.rglob(f"evaluation/{split}/metrics.json")):
            folder = file.parents[2]
            if folder.resolve() not in found:
                found[folder.resolve()] = _read(folder, file)
    if not found:
        raise ValueError(
            f"compare: no evaluation of the {split} split below {', '.join(map(str, paths))};"
            f" expected runs that python evaluate.py run=... split={split} has seen"
        )
    return list(found.values())


def _read(folder: Path, metrics_file: Path) -> EvaluatedRun:
    try:
        metrics = json.loads(metrics_file.read_text())
        config = _flat(yaml.safe_load((folder / "config.yaml").read_text()))
        logged = _logged(folder / "metrics.jsonl")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"compare: {folder} cannot be read: {error}") from None
    if steps := [line["train/step_seconds"] for line in logged if "train/step_seconds" in line]:
        metrics["step_ms"] = 1000 * median(steps)
    if peaks := [line["train/peak_memory_mb"] for line in logged if "train/peak_memory_mb" in line]:
        metrics["peak_memory_mb"] = max(peaks)
    return EvaluatedRun(folder, config, metrics)


def _logged(log: Path) -> list[dict[str, float]]:
    """The lines of a metrics.jsonl; empty without one."""
    found = []
    for line in log.read_text().splitlines() if log.is_file() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # a run that was killed may have left half a line
    return found


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    return {k: v for key, value in node.items() for k, v in _flat(value, f"{prefix}.{key}" if prefix else key).items()}


def differing_keys(runs: Sequence[EvaluatedRun]) -> list[str]:
    """What is not the same in all configurations; a missing key is a difference too."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    chosen = [key for key in keys if not key.startswith(_INCIDENTAL)]
    return [key for key in chosen if len({json.dumps(run.config.get(key)) for run in runs}) > 1]


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
    return names


def _names(runs: Sequence[EvaluatedRun], keys: Sequence[str]) -> list[str]:
    """The values of some keys in words; of texts the value alone."""
    return [", ".join(_named(key, run.config[key]) for key in keys if key in run.config) for run in runs]


def tabulate(runs: Sequence[EvaluatedRun]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: folder, what differs, cost, task score, attention."""
    keys, names = differing_keys(runs), measures(runs)
    rows = [
        [str(run.folder), *(_short(run.config.get(key)) for key in keys), *(_number(run.metrics.get(n)) for n in names)]
        for run in runs
    ]
    return ["run", *keys, *names], rows


def measures(runs: Sequence[EvaluatedRun]) -> list[str]:
    """What any of the runs was measured with: cost, then texts, then attention."""
    known = dict.fromkeys(name for run in runs for name in run.metrics)
    chosen = [name for name in (*_COST, *_TASK) if name in known]
    return chosen + [name for name in known if name.startswith(_ATTENTION)]


def figure(runs: Sequence[EvaluatedRun]) -> Figure:
    """A panel for each of the main measures, baselines and intervals within them left out."""
    secondary = ("_num_words", "_uniform", "_centre", "_even_ms", "_low", "_high", "_20_ms", "_50_ms", "_200_ms")
    names = [n for n in measures(runs) if not n.endswith(secondary) and "_peak_" not in n and "_gradient" not in n]
    return draw_comparison(labels(runs), {name: [run.metrics.get(name) for run in runs] for name in names})


def _short(value: Any) -> str:
    """A class by its own name; anything else as it is."""
    text = "" if value is None else str(value)
    return text.rsplit(".", 1)[-1] if text.startswith("multimodal_attn.") else text


def _named(key: str, value: Any) -> str:
    return _short(value) if isinstance(value, str) else f"{key.rpartition('.')[2]}={_short(value)}"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
