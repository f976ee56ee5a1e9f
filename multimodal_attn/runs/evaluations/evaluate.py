"""Evaluating a run: metrics.json, predictions.jsonl, attention.npz, index.html, and what else there is to tell."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
import yaml
from pydantic import Field
from rich.console import Console

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.reading.files import file_name, write_skipped
from multimodal_attn.distributed import gather_to_first
from multimodal_attn.evaluation.attention.heads import heads_of
from multimodal_attn.evaluation.bootstrap import Interval, intervals
from multimodal_attn.evaluation.confidence import Confidences, Reliability
from multimodal_attn.evaluation.statistics import figures_of
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.inspection.figures.png import as_png
from multimodal_attn.inspection.figures.reliability import draw_reliability
from multimodal_attn.inspection.page.page import page_title, write_page
from multimodal_attn.machine import check_device, set_up_machine
from multimodal_attn.parts import EVERYTHING, checked, part
from multimodal_attn.prediction.checkpoint import read_run
from multimodal_attn.prediction.confidence import confidences, write_temperature
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.live import LiveSettings
from multimodal_attn.prediction.recordings.transcript import ENDINGS, render
from multimodal_attn.prediction.times.word_times import check_time_source
from multimodal_attn.processes import own_device
from multimodal_attn.ranges import Count, WholeNumber
from multimodal_attn.runs import environment
from multimodal_attn.runs.build import cache_features
from multimodal_attn.runs.configuration import leaves, refuse_unknown, require
from multimodal_attn.runs.evaluations import example_statistics
from multimodal_attn.runs.evaluations.cloze import evaluate_cloze
from multimodal_attn.runs.evaluations.decoding import Decoded, decode_share, together
from multimodal_attn.runs.evaluations.example_statistics import write_statistics
from multimodal_attn.runs.evaluations.faithfulness import measure_faithfulness
from multimodal_attn.runs.evaluations.folder import TAG, folder_name
from multimodal_attn.runs.evaluations.language_model import evaluate_language_model
from multimodal_attn.runs.evaluations.loggers import evaluation_loggers, log_evaluation
from multimodal_attn.runs.evaluations.report import print_report
from multimodal_attn.runs.evaluations.streaming import live_settings, measure_streaming
from multimodal_attn.runs.folders import metrics_text, read_config
from multimodal_attn.runs.language_model import load_language_model
from multimodal_attn.runs.loading import Run, run_of
from multimodal_attn.search import Search
from multimodal_attn.search.build import build_search, make_search
from multimodal_attn.types import Example, Timeline, UnreadableError
from multimodal_attn.writing import replaced_folder, write_file

log = logging.getLogger(__name__)

SETTINGS: dict[str, Any] = {
    "run": str,
    "split": Split,
    "tag": Annotated[str, Field(pattern=f"^{TAG}$")] | None,
    "ensemble": list[str],
    "checkpoint": Literal["best", "last"],
    "batch_size": Count,
    "page_examples": WholeNumber,
    "data": dict[str, Any],
    "trust": list[str],
    "device": str,
    "word_times": Literal["attention", "ctc"],
    "transcripts": list[Literal["srt", "vtt", "ctm", "textgrid", "txt", "json"]],
    "faithfulness": bool,
    "faithfulness_examples": Count,
    "streaming": bool,
    "streaming_examples": Count,
    "live": dict[str, Any],
    "verbose": bool,
    "extra_scores": list[Literal["meteor", "spice"]],
    "search_rules": Literal["run", "search"],
    "search": dict[str, Any],
    "logger": dict[str, Any] | None,
    "run_dir": str,
    "name": str,
}
"""Of ``conf/evaluate.yaml``, and what each may be."""
WRITTEN = (
    *("config.yaml", "metrics.json", "predictions.jsonl", "attention.npz", "skipped.txt", "cut.txt", "words"),
    *("index.html", "reliability.png", "heads.json", "faithfulness.json", "faithfulness.png", "live.jsonl"),
    *(environment.FILE, example_statistics.FILE),
)
"""What an evaluation writes: of an earlier one nothing stays, so that no two are mixed."""
LIMITS = ("max_length", "max_length_ratio")
RULES = ("min_length", "forbidden", "no_repeat_ngram", "eos_threshold", "prefix", "forced_words", "max_attention_jump")
"""Settings of the search that are the run's where the command line says nothing."""
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
    refuse_unknown(settings, SETTINGS)
    require(settings, tuple(key for key in SETTINGS if key not in ("logger", "tag")))
    for key, annotation in SETTINGS.items():
        if key != "search":  # checked when it is built
            checked(key, settings.get(key), annotation)
    if settings["device"] != "auto":
        check_device(settings["device"])
    _check_search(settings["search"])
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
    if settings["faithfulness"] and settings["ensemble"]:
        raise ValueError("faithfulness: true; expected false for an ensemble, whose members read memories of their own")
    _check_word_times(run, settings)
    live = live_settings(run.predictor, settings["live"]) if settings["streaming"] else None
    device = settings["device"] if settings["device"] != "auto" else own_device()
    node = _search_node(run, settings)
    predictor = run.predictor.with_search(_search(run, node, device)).to(device)
    cache_features(run.data, predictor.model, (settings["split"],), run.config["data"])
    source = run.data.source(settings["split"])  # a missing split or folder is an error before anything is written
    folder = run.folder / "evaluation" / folder_name(settings)
    loggers = evaluation_loggers(settings.get("logger"), run.folder)
    origin.add_data(run.config["data"].get("root"), settings["split"], source)
    shown = {example.key: example for example in source.spread(settings["page_examples"])}
    shares = gather_to_first(decode_share(run, predictor, settings, shown))
    if shares is None:
        return {}
    config = {key: value for key, value in settings.items() if key not in _ELSEWHERE} | {"search": node}
    with replaced_folder(folder, WRITTEN) as new:
        _tell_replaced(folder, config)
        found = _write(run, predictor, config, scores, new, together(shares), shown, live)
        origin.write(new, wall=True)
    metrics, ends, alarms, reliability = found
    # That of the run's own data and the usual search: not of an ensemble, nor of a tagged evaluation.
    if reliability is not None and folder.name == "val":
        if others := sorted(set(settings["data"]) - set(_SAME_DATA)):
            log.info("%s: keeps its calibration, as data.%s is another here", run.folder, ", data.".join(others))
        else:
            write_temperature(run.folder, reliability.temperature, len(reliability.right))
    print_report(metrics, str(folder), scores.measures, settings["verbose"], intervals=ends)
    log_evaluation(loggers, f"evaluation/{folder.name}", metrics, folder / "index.html")
    console = Console()
    for alarm in alarms:
        console.print(alarm, style="bold red", markup=False, highlight=False)
    console.print(f"attention page: {folder / 'index.html'}", soft_wrap=True)
    return metrics


def _write(
    run: Run,
    predictor: Predictor,
    settings: Mapping[str, Any],
    scores: TextScores,
    folder: Path,
    found: Decoded,
    shown: Mapping[str, Example],
    live: LiveSettings | None,
) -> _Written:
    """Scores what was decoded and writes all files into a folder."""
    source = run.data.source(settings["split"])
    skipped = run.data.skipped(settings["split"]) + found.skipped
    texts, references = [p["text"] for p in found.predictions], [p["references"] for p in found.predictions]
    metrics, statistics = scores.scored(texts, references)
    metrics |= scores.corpus_scores(texts, lambda: _training_texts(run))
    if source.reader.modality == "text":
        of_sources = scores.source_statistics(texts, references, found.sources)
        metrics |= figures_of(of_sources, len(texts))
        statistics += of_sources
    extra, missing = scores.extra_scores(settings["extra_scores"], texts, references)
    for line in missing:
        log.warning(line)
    attention = found.attention_scores
    metrics |= extra | attention.compute()
    statistics += attention.statistics()
    reliability = _calibrate(found, predictor, settings, scores)
    if reliability is not None:
        metrics |= reliability.figures()
        statistics += reliability.statistics(len(texts))
        write_file(folder / "reliability.png", as_png(draw_reliability(reliability)))
    temperature = None if reliability is None else reliability.temperature
    ends = intervals(statistics, len(texts))
    metrics["num_parameters"] = sum(parameter.numel() for parameter in predictor.model.parameters())
    metrics |= {"num_examples": len(texts), "num_skipped": len(skipped)}
    if source.cut:
        metrics["num_cut"] = len(source.cut)
    metrics |= {
        f"num_{flag}": sum(flag in p["flags"] for p in found.predictions)
        for flag in ("empty", "looped", "hit_max_length")
    }
    if settings["word_times"] == "ctc":
        metrics["num_without_ctc_path"] = sum(p["word_times"] != "ctc" for p in found.predictions)
    alarms: list[str] = []
    if settings["faithfulness"]:
        examples = source.spread(settings["faithfulness_examples"])
        measures, its_ends, alarms = measure_faithfulness(predictor, examples, folder, settings["batch_size"])
        metrics |= measures
        ends |= its_ends

    if live is not None:
        examples = source.spread(settings["streaming_examples"])
        measures, its_ends = measure_streaming(predictor, examples, live, folder)
        metrics |= measures
        ends |= its_ends

    _finish_words(found, settings["transcripts"], folder / "words", temperature)
    lines = (json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in found.predictions)
    arrays = io.BytesIO()
    np.savez_compressed(arrays, **found.weights)  # type: ignore[arg-type]
    write_file(folder / "config.yaml", yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True))
    write_file(folder / "metrics.json", metrics_text(metrics, ends))
    write_statistics(folder / example_statistics.FILE, attention.statistics())
    write_file(folder / "predictions.jsonl", "".join(lines).encode("utf-8", "backslashreplace"))
    write_file(folder / "attention.npz", arrays.getbuffer())
    write_skipped(folder / "skipped.txt", skipped)
    if source.cut:
        write_skipped(folder / "cut.txt", source.cut)
    records = [found.records[key] for key in shown if key in found.records]
    for record in records:
        record.calibrate(temperature)
    if heads := heads_of([record.self_attention for record in records if record.self_attention]):
        write_file(folder / "heads.json", json.dumps(heads, indent=1) + "\n")
    title = page_title(str(run.config["name"]), settings["split"])
    write_page(records, folder / "index.html", title, metrics, alarms, total=len(texts), intervals=ends)
    return _Written(metrics, ends, alarms, reliability)


class _Written(NamedTuple):
    """What an evaluation has found: figures, intervals, what a reader must be told, and what confidence is worth."""

    metrics: dict[str, float]
    intervals: dict[str, Interval]
    alarms: list[str]
    reliability: Reliability | None


def _calibrate(
    found: Decoded, predictor: Predictor, settings: Mapping[str, Any], scores: TextScores
) -> Reliability | None:
    """Finds the temperature of a validation set, or takes the one that the run's has found; None without either."""
    temperature = None if settings["split"] == "val" else predictor.temperature
    if settings["split"] != "val" and temperature is None:
        log.info("no confidence: the run has no temperature yet; evaluating its val split finds it")
        return None
    right = [scores.right_words(p["text"].split(), p["references"]) for p in found.predictions]
    examples = [number for number, words in enumerate(found.log_probs) for _ in words]
    log_probs = [value for words in found.log_probs for value in words]
    words = Confidences(examples, log_probs, [each for some in right for each in some])
    return words.calibrated(temperature) if examples else None


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
    if differing:
        log.warning("%s: takes the place of one with another %s; tag=NAME keeps both", folder, ", ".join(differing))


def _search_node(run: Run, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The search with what the command line leaves open (null): limits of the run, and its rules unless told not to."""
    own, node = run.config["search"], settings["search"]
    found = {key: value for key, value in node.items() if value is not None or key not in (*LIMITS, *RULES)}
    inherited = (*LIMITS, *RULES) if settings["search_rules"] == "run" else LIMITS
    return found | {key: own[key] for key in inherited if key not in found and own.get(key) is not None}


def _check_search(node: Mapping[str, Any]) -> None:
    """Refuses settings that make no sense before the run is read; what that is to say, and its models, come later."""
    if not isinstance(node, Mapping):
        raise ValueError(f"search: {node!r}; expected settings such as search.width=5")
    checked("search.language_model", node.get("language_model"), str | None)
    later = {key for key in (*LIMITS, *RULES) if node.get(key) is None} | {"language_model"}
    if node.get("language_model") is not None:
        later.add("language_model_weight")  # which its scorer refuses without a model
    make_search({key: value for key, value in node.items() if key not in later}, EVERYTHING)


def _search(run: Run, node: Mapping[str, Any], device: str) -> Search:
    predictor = run.predictor
    return build_search(
        node,
        predictor.model,
        predictor.tokenizer,
        EVERYTHING,
        lambda path: load_language_model(path, predictor.tokenizer).to(device),
    )


def _training_texts(run: Run) -> list[str] | None:
    """None where the training data are not at hand: a run may be evaluated elsewhere."""
    try:
        return run.data.source("train").texts()
    except (OSError, ValueError):
        return None


def _check_word_times(run: Run, settings: Mapping[str, Any]) -> None:
    model = run.predictor.model
    check_time_source(settings["word_times"], model, run.predictor.name)
    kinds = settings["transcripts"]
    if any(kind not in ENDINGS for kind in kinds) or (kinds and not isinstance(model.encoder.layout, Timeline)):
        raise ValueError(f"transcripts: {kinds}; expected some of {', '.join(ENDINGS)}, for a run of recordings")
