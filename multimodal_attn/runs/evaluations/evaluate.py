"""Evaluating a run: metrics.json, predictions.jsonl, attention.npz, index.html, and the rest."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rich.console import Console

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.reading.files import file_name, write_skipped
from multimodal_attn.distributed import gather_to_first
from multimodal_attn.evaluation.attention.heads import heads_of
from multimodal_attn.evaluation.confidence import Reliability
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.inspection.figures.png import as_png
from multimodal_attn.inspection.figures.reliability import draw_reliability
from multimodal_attn.inspection.page.page import page_title, write_page
from multimodal_attn.machine import set_up_machine
from multimodal_attn.parts import part
from multimodal_attn.prediction.checkpoint import read_run
from multimodal_attn.prediction.confidence import confidences, write_temperature
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.live import LiveSettings
from multimodal_attn.prediction.recordings.transcript import ENDINGS, render
from multimodal_attn.processes import own_device
from multimodal_attn.runs import environment
from multimodal_attn.runs.build import cache_features
from multimodal_attn.runs.configuration import leaves
from multimodal_attn.runs.evaluations import example_statistics
from multimodal_attn.runs.evaluations.cloze import evaluate_cloze
from multimodal_attn.runs.evaluations.decoding import Decoded, decode_share, together
from multimodal_attn.runs.evaluations.example_statistics import write_statistics
from multimodal_attn.runs.evaluations.faithfulness import measure_faithfulness
from multimodal_attn.runs.evaluations.folder import folder_name
from multimodal_attn.runs.evaluations.language_model import evaluate_language_model
from multimodal_attn.runs.evaluations.loggers import evaluation_loggers, log_evaluation
from multimodal_attn.runs.evaluations.report import print_report
from multimodal_attn.runs.evaluations.scoring import Figures, score
from multimodal_attn.runs.evaluations.settings import check_run, check_settings, search_node, search_of
from multimodal_attn.runs.evaluations.streaming import live_settings, measure_streaming
from multimodal_attn.runs.folders import metrics_text, read_config
from multimodal_attn.runs.loading import Run, run_of
from multimodal_attn.types import Example, UnreadableError
from multimodal_attn.writing import replaced_folder, write_file

log = logging.getLogger(__name__)

WRITTEN = (
    *("config.yaml", "metrics.json", "predictions.jsonl", "attention.npz", "skipped.txt", "cut.txt", "words"),
    *("index.html", "reliability.png", "heads.json", "faithfulness.json", "faithfulness.png", "live.jsonl"),
    *(environment.FILE, example_statistics.FILE),
)
"""What an evaluation writes: of an earlier one nothing stays, so that no two are mixed."""
_SAME_DATA = ("root", "cache_dir", "num_workers")  # keys of ``data`` that change nothing but where they lie
_ELSEWHERE = ("logger", "run_dir", "name")  # what says nothing of the figures
_TOLD = ("search", "ensemble", "data", "word_times", "split", "checkpoint")


def evaluate(settings: dict[str, Any]) -> dict[str, float]:
    """Decodes a split, scores texts and attention, and writes ``<run>/evaluation/<split>/``, or a folder with a longer
    name for another search (``folder.py``).

    Several processes (``processes.py``) decode a share of the batches each; the first does everything else, from all
    of them in the order of the data set.

    Args:
        settings: of ``conf/evaluate.yaml``, as plain containers.

    Returns:
        The figures in metrics.json; ``measures.py`` says what each means. Empty in processes other than the first.

    Raises:
        ValueError: if the run, the split or its data cannot be read.
    """
    check_settings(settings)
    set_up_machine()
    torch.manual_seed(0)
    origin = environment.Environment()
    overrides = {f"data.{key}": value for key, value in settings["data"].items()}
    if settings["ensemble"]:
        overrides["data.cache_dir"] = None  # one encoder's features are not another's
    contents = [read_run(path, settings["checkpoint"]) for path in (settings["run"], *settings["ensemble"])]
    if "masking" in contents[0].config:
        return evaluate_cloze(settings, contents[0], overrides, origin)
    if "language_model" in contents[0].config:
        return evaluate_language_model(settings, contents[0], overrides, origin)
    run = run_of(contents, overrides, settings["trust"])
    scores = part("metrics", run.config["metrics"], TextScores, settings["trust"])()
    scores.check_extras(settings["extra_scores"])
    check_run(settings, run)
    live = live_settings(run.predictor, settings["live"]) if settings["streaming"] else None
    device = settings["device"] if settings["device"] != "auto" else own_device()
    node = search_node(run, settings)
    predictor = run.predictor.with_search(search_of(run, node, device)).to(device)
    cache_features(run.data, predictor.model, (settings["split"],), run.config["data"])
    source = run.data.source(settings["split"])  # a missing split or folder is an error before anything is written
    folder = run.folder / "evaluation" / folder_name(settings, run.config["search"])
    loggers = evaluation_loggers(settings.get("logger"), run.folder)
    origin.add_data(run.config["data"].get("root"), settings["split"], source)
    shown = {example.key: example for example in source.spread(settings["page_examples"])}
    shares = gather_to_first(decode_share(run, predictor, settings, shown))
    if shares is None:
        return {}
    config = {key: value for key, value in settings.items() if key not in _ELSEWHERE} | {"search": node}
    found = together(shares)
    with replaced_folder(folder, WRITTEN) as new:
        _tell_replaced(folder, config)
        figures = score(run, predictor, config, scores, found)
        _measure_further(predictor, config, source, new, figures, live)
        _write_files(run, config, new, found, figures, shown)
        origin.write(new, wall=True)
    if figures.reliability is not None and folder.name == "val":  # of no ensemble, other search or tagged evaluation
        _keep_temperature(run, settings, figures.reliability)
    metrics = figures.metrics
    print_report(metrics, str(folder), scores.measures, settings["verbose"], intervals=figures.intervals)
    log_evaluation(loggers, f"evaluation/{folder.name}", metrics, folder / "index.html")
    console = Console()
    for alarm in figures.alarms:
        console.print(alarm, style="bold red", markup=False, highlight=False)
    console.print(f"attention page: {folder / 'index.html'}", soft_wrap=True)
    return metrics


def _keep_temperature(run: Run, settings: Mapping[str, Any], reliability: Reliability) -> None:
    """Keeps the temperature with the run, if its own data were evaluated."""
    if others := sorted(set(settings["data"]) - set(_SAME_DATA)):
        log.info("%s: keeps its calibration, as data.%s is another here", run.folder, ", data.".join(others))
    else:
        write_temperature(run.folder, reliability.temperature, len(reliability.right))


def _measure_further(
    predictor: Predictor,
    settings: Mapping[str, Any],
    source: Dataset,
    folder: Path,
    figures: Figures,
    live: LiveSettings | None,
) -> None:
    """Adds the figures for which examples are decoded anew, where they are asked for; writes their files."""
    if settings["faithfulness"]:
        examples = source.spread(settings["faithfulness_examples"])
        measures, ends, alarms = measure_faithfulness(predictor, examples, folder, settings["batch_size"])
        figures.add(measures, ends)
        figures.alarms += alarms
    if live is not None:
        examples = source.spread(settings["streaming_examples"])
        figures.add(*measure_streaming(predictor, examples, live, folder))


def _write_files(
    run: Run,
    settings: Mapping[str, Any],
    folder: Path,
    found: Decoded,
    figures: Figures,
    shown: Mapping[str, Example],
) -> None:
    """Writes everything else into the folder, the page last."""
    source = run.data.source(settings["split"])
    if figures.reliability is not None:
        write_file(folder / "reliability.png", as_png(draw_reliability(figures.reliability)))
    _finish_words(found, settings["transcripts"], folder / "words", figures.temperature)
    lines = (json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in found.predictions)
    arrays = io.BytesIO()
    np.savez_compressed(arrays, **found.weights)  # type: ignore[arg-type]
    write_file(folder / "config.yaml", yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True))
    write_file(folder / "metrics.json", metrics_text(figures.metrics, figures.intervals))
    write_statistics(folder / example_statistics.FILE, found.attention_scores.statistics())
    write_file(folder / "predictions.jsonl", "".join(lines).encode("utf-8", "backslashreplace"))
    write_file(folder / "attention.npz", arrays.getbuffer())
    write_skipped(folder / "skipped.txt", run.data.skipped(settings["split"]) + found.skipped)
    if source.cut:
        write_skipped(folder / "cut.txt", source.cut)
    records = [found.records[key] for key in shown if key in found.records]
    for record in records:
        record.calibrate(figures.temperature)
    if heads := heads_of([record.self_attention for record in records if record.self_attention]):
        write_file(folder / "heads.json", json.dumps(heads, indent=1) + "\n")
    write_page(
        records,
        folder / "index.html",
        page_title(str(run.config["name"]), settings["split"]),
        figures.metrics,
        figures.alarms,
        total=len(found.predictions),
        intervals=figures.intervals,
    )


def _finish_words(found: Decoded, kinds: Sequence[str], folder: Path, temperature: float | None) -> None:
    """Gives every word its confidence, and writes the files of ``transcripts``."""
    for prediction, log_probs, timed in zip(found.predictions, found.log_probs, found.timed, strict=True):
        sure: list[float | None] = [None] * len(log_probs)
        if temperature is not None:
            sure = confidences(np.array(log_probs), temperature).tolist()
            prediction["confidence"] = [round(value, 4) for value in sure if value is not None]
        if timed is None:
            continue
        words = [word._replace(confidence=value) for word, value in zip(timed.words, sure, strict=True)]
        prediction["words"] = [word.as_dict() for word in words]
        name = file_name(prediction["key"])
        if kinds and name != prediction["key"]:
            prediction["file"] = name
        for kind in kinds:
            write_file(folder / f"{name}.{ENDINGS[kind]}", render(timed._replace(words=words), name, kind, name))


def _tell_replaced(folder: Path, config: Mapping[str, Any]) -> None:
    """Says so if another evaluation lies in the folder, whose name does not tell the two apart."""
    try:
        before = read_config(folder / "config.yaml")
    except UnreadableError:
        return
    now = {key: value for key, value in leaves(config) if value != {}}
    differing = [key for key in now | before if key.startswith(_TOLD) and before.get(key) != now.get(key)]
    if "search._target_" in differing:  # another class has other settings, of which nobody asked
        differing = ["search", *(key for key in differing if not key.startswith("search"))]
    if differing:
        how = "another tag" if config["tag"] else "tag=NAME"
        log.warning("%s: takes the place of one with another %s; %s keeps both", folder, ", ".join(differing), how)
