"""Evaluating a run: metrics.json, predictions.jsonl, attention.npz, index.html, and faithfulness when asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.reading.files import file_name, write_skipped
from multimodal_attn.distributed import gather_to_first, process_share
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.inspection.page.page import page_title, write_page
from multimodal_attn.machine import check_device, set_up_machine
from multimodal_attn.parts import EVERYTHING, checked, part
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.transcript import ENDINGS, TimedWord, Transcript, render
from multimodal_attn.prediction.word_times import check_time_source, ctc_spans
from multimodal_attn.processes import own_device
from multimodal_attn.ranges import Count, WholeNumber
from multimodal_attn.runs.build import cache_features
from multimodal_attn.runs.configuration import refuse_unknown, require
from multimodal_attn.runs.faithfulness import measure_faithfulness
from multimodal_attn.runs.language_model import load_language_model
from multimodal_attn.runs.loading import Run, load_run
from multimodal_attn.runs.report import print_report
from multimodal_attn.search import Search
from multimodal_attn.search.build import build_search
from multimodal_attn.types import Batch, Example, Hypothesis, Memory, Timeline, UnreadableError
from multimodal_attn.writing import replaced_folder, write_file

log = logging.getLogger(__name__)

SETTINGS: dict[str, Any] = {
    "run": str,
    "split": Split,
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
    "verbose": bool,
    "extra_scores": list[Literal["meteor", "spice"]],
    "search": dict[str, Any],
}
"""Of ``conf/evaluate.yaml``, and what each may be."""
WRITTEN = (
    *("metrics.json", "predictions.jsonl", "attention.npz", "skipped.txt", "cut.txt", "words", "index.html"),
    *("faithfulness.json", "faithfulness.png"),
)
"""What an evaluation writes: of an earlier one nothing stays, so that no two are mixed."""


def evaluate(settings: dict[str, Any]) -> dict[str, float]:
    """Decodes a split, scores texts and attention, and writes ``<run>/evaluation/<split>/``, ``<split>_ensemble/`` for
    an ensemble.

    Several processes (``processes.py``) decode a share of the batches each; the first does everything else, from all
    of them in the order of the data set.

    Args:
        settings: of ``conf/evaluate.yaml``, as plain containers.

    Returns:
        What stands in metrics.json; ``measures.py`` says what each figure means. Empty in processes other than the
        first.

    Raises:
        ValueError: if the run, the split or its data cannot be read.
    """
    refuse_unknown(settings, SETTINGS)
    require(settings, tuple(SETTINGS))
    for key, annotation in SETTINGS.items():
        if key != "search":  # checked when it is built
            checked(key, settings[key], annotation)
    if settings["device"] != "auto":
        check_device(settings["device"])
    set_up_machine()
    torch.manual_seed(0)
    overrides = {f"data.{key}": value for key, value in settings["data"].items()}
    if settings["ensemble"]:
        overrides["data.cache_dir"] = None  # one encoder's features are not another's
    run = load_run(settings["run"], settings["ensemble"], settings["checkpoint"], overrides, settings["trust"])
    scores = part("metrics", run.config["metrics"], TextScores, settings["trust"])()
    scores.check_extras(settings["extra_scores"])
    if settings["faithfulness"] and settings["ensemble"]:
        raise ValueError("faithfulness: true; expected false for an ensemble, whose members read memories of their own")
    _check_word_times(run, settings)
    device = settings["device"] if settings["device"] != "auto" else own_device()
    predictor = run.predictor.with_search(_search(run, settings, device)).to(device)
    cache_features(run.data, predictor.model, (settings["split"],), run.config["data"].get("cache_dir"))
    source = run.data.source(settings["split"])  # a missing split or folder is an error before anything is written
    folder = run.folder / "evaluation" / (settings["split"] + ("_ensemble" if settings["ensemble"] else ""))
    shown = {example.key: example for example in source.spread(settings["page_examples"])}
    shares = gather_to_first(_decode_share(run, predictor, settings, shown))
    if shares is None:
        return {}
    with replaced_folder(folder, WRITTEN) as new:
        metrics, alarms = _write(run, predictor, settings, scores, new, _together(shares), shown)
    print_report(metrics, str(folder), scores.measures, settings["verbose"])
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
    found: _Decoded,
    shown: Mapping[str, Example],
) -> tuple[dict[str, float], list[str]]:
    """Scores what was decoded and writes all files into a folder; gives metrics.json and what a reader must be told."""
    source = run.data.source(settings["split"])
    skipped = run.data.skipped(settings["split"]) + found.skipped
    texts, references = [p["text"] for p in found.predictions], [p["references"] for p in found.predictions]
    metrics = scores(texts, references) | scores.corpus_scores(texts, lambda: _training_texts(run))
    if source.reader.modality == "text":
        metrics |= scores.source_scores(texts, references, found.sources)
    extra, missing = scores.extra_scores(settings["extra_scores"], texts, references)
    for line in missing:
        log.warning(line)
    metrics |= extra | found.attention_scores.compute()
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
        measures, alarms = measure_faithfulness(predictor, examples, folder, settings["batch_size"])
        metrics |= measures

    lines = (json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in found.predictions)
    arrays = io.BytesIO()
    np.savez_compressed(arrays, **found.weights)  # type: ignore[arg-type]
    write_file(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_file(folder / "predictions.jsonl", "".join(lines).encode("utf-8", "backslashreplace"))
    write_file(folder / "attention.npz", arrays.getbuffer())
    write_skipped(folder / "skipped.txt", skipped)
    if source.cut:
        write_skipped(folder / "cut.txt", source.cut)
    for name, content in found.transcripts.items():
        write_file(folder / "words" / name, content)
    records = [found.records[key] for key in shown if key in found.records]
    title = page_title(str(run.config["name"]), settings["split"])
    write_page(records, folder / "index.html", title, metrics, alarms, total=len(texts))
    return metrics, alarms


def _search(run: Run, settings: Mapping[str, Any], device: str) -> Search:
    """Length limits that the command line leaves open (null) are those that the run was validated with."""
    limits = {
        key: run.config["search"][key]
        for key in ("max_length", "max_length_ratio")
        if settings["search"].get(key) is None
    }
    predictor = run.predictor
    return build_search(
        {**settings["search"], **limits},
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


class _Decoded(NamedTuple):
    """A batch as a process hands it to the first, or all batches together."""

    number: int  # of the batch in the data set
    predictions: list[dict[str, Any]]
    sources: list[str]  # texts that were read, one for each prediction
    weights: dict[str, np.ndarray]
    records: dict[str, Prediction]  # of those that the page shows, by key
    transcripts: dict[str, str]  # name -> content of the files of ``transcripts``
    skipped: list[UnreadableError]
    attention_scores: AttentionScores


@torch.no_grad()
def _decode_share(
    run: Run, predictor: Predictor, settings: Mapping[str, Any], shown: Mapping[str, Example]
) -> list[_Decoded]:
    """Every n-th batch of the split, as this process is one of n.

    What the page shows is decoded once, here: a search that draws would show other texts than predictions.jsonl has.
    """
    rank, number = process_share()
    loader = run.data.loader(settings["split"], batch_size=settings["batch_size"], share=(rank, number))
    decoded = []
    for step, batch in enumerate(track(loader, f"decoding {settings['split']}", disable=rank > 0)):
        found = _Decoded(step * number + rank, [], [], {}, {}, {}, batch.skipped, AttentionScores())
        decoded.append(found)
        if len(batch) == 0:
            continue
        batch = batch.to(predictor.device)
        output, memory = predictor.model(batch)
        all_hypotheses = predictor.decode(memory, batch.keys)
        best = [hypotheses[0] for hypotheses in all_hypotheses]
        tokenizer = predictor.tokenizer
        heard = [ctc_spans(predictor.model, tokenizer, memory, index, text) for index, text in enumerate(best)]
        found.attention_scores.update(batch, memory, output, best, tokenizer, predictor.source_tokenizer, heard)
        for index, hypotheses in enumerate(all_hypotheses):
            real = int(memory.mask[index].sum())
            name = str(found.number * settings["batch_size"] + index)
            found.weights[name] = hypotheses[0].weights[..., :real].to(torch.float16).numpy()
            line = _line(predictor, settings, batch, index, memory, hypotheses, found.transcripts)
            found.predictions.append({**line, "attention": name})
            found.sources.append(batch.source_texts[index])
            if (example := shown.get(batch.keys[index])) is not None:
                # The batch may hold cached features where the page wants the picture.
                found.records[example.key] = predictor.prediction(example, hypotheses, memory, index)
    return decoded


def _together(shares: list[list[_Decoded]]) -> _Decoded:
    """The batches of all processes as one would have decoded them: sums depend on their order, in the last digits."""
    joined = _Decoded(0, [], [], {}, {}, {}, [], AttentionScores())
    for batch in sorted((batch for share in shares for batch in share), key=lambda batch: batch.number):
        joined.skipped.extend(batch.skipped)
        joined.sources.extend(batch.sources)
        joined.attention_scores.merge(batch.attention_scores)
        joined.records.update(batch.records)
        joined.transcripts.update(batch.transcripts)
        for prediction in batch.predictions:
            name = str(len(joined.predictions))  # what was skipped leaves no gap
            joined.weights[name] = batch.weights[prediction["attention"]]
            joined.predictions.append({**prediction, "attention": name})
    return joined


def _line(
    predictor: Predictor,
    settings: Mapping[str, Any],
    batch: Batch,
    index: int,
    memory: Memory,
    hypotheses: list[Hypothesis],
    transcripts: dict[str, str],
) -> dict[str, Any]:
    """A line of predictions.jsonl; adds the recording's files to ``transcripts``."""
    best, *others = hypotheses
    tokenizer = predictor.tokenizer.of_source(batch.source_texts[index])
    line = {
        "key": batch.keys[index],
        "text": tokenizer.decode(best.tokens),
        "references": [target.text for target in batch.targets[index]],
        "score": best.score,
        "scores": best.scores,
        "tokens": tokenizer.pieces(best.tokens),
        "log_probs": _rounded(best.log_probs.tolist()),
        **({} if best.gate is None else {"gate": _rounded(best.gate), "gate_name": best.gate_name}),
        "flags": best.flags,
        "others": [
            {
                "text": tokenizer.decode(other.tokens),
                "score": other.score,
                "scores": other.scores,
                "flags": other.flags,
            }
            for other in others
        ],
        "attention": "",  # name of the (tokens, heads, positions) array in attention.npz, when all are together
    }
    if isinstance(memory.layout, Timeline):
        seconds = float(batch.source_lengths[index]) / predictor.reader.sample_rate
        line |= _timed(predictor, settings, batch.keys[index], seconds, index, memory, best, transcripts)
    return line


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]


def _timed(
    predictor: Predictor,
    settings: Mapping[str, Any],
    key: str,
    seconds: float,
    index: int,
    memory: Memory,
    best: Hypothesis,
    transcripts: dict[str, str],
) -> dict[str, Any]:
    """What predictions.jsonl says of a recording's words; adds its files to ``transcripts``."""
    times = predictor.word_times(memory, index, best, settings["word_times"])
    texts = predictor.tokenizer.decode(best.tokens).split()
    words = [TimedWord(text, *span) for text, span in zip(texts, times.spans, strict=True)]
    name = file_name(key)
    for kind in settings["transcripts"]:
        transcripts[f"{name}.{ENDINGS[kind]}"] = render(Transcript(words, seconds), name, kind)
    written = {"file": name} if settings["transcripts"] and name != key else {}
    return {"word_times": times.source, "words": [word.as_dict() for word in words], **written}
