"""Evaluating a run: metrics.json, predictions.jsonl, attention.npz, index.html, and faithfulness when asked for."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track
from rich.table import Table

from multimodal_attn.distributed import gather_to_first, process_share
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.evaluation.texts.captions import CaptionScores
from multimodal_attn.evaluation.texts.diversity import caption_diversity
from multimodal_attn.evaluation.texts.java_scores import check_java_scores, java_scores
from multimodal_attn.inspection.page.page import write_page
from multimodal_attn.machine import set_up_machine
from multimodal_attn.prediction.checkpoint import Run
from multimodal_attn.prediction.decode import record_of
from multimodal_attn.prediction.ensemble import load_together
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.transcript import ENDINGS, Transcript, render
from multimodal_attn.prediction.word_times import check_source, ctc_spans, timed_words
from multimodal_attn.processes import own_device
from multimodal_attn.runs.build import build_search, cache_features
from multimodal_attn.runs.faithfulness import measure_faithfulness
from multimodal_attn.runs.language_model import load_language_model
from multimodal_attn.search import NucleusSampling, Search
from multimodal_attn.types import Batch, Example, Hypothesis, Memory, Timeline, UnreadableError

log = logging.getLogger(__name__)


def evaluate(config: DictConfig) -> dict[str, float]:
    """Decodes a split, scores texts and attention, and writes ``<run>/evaluation/<split>/``, ``<split>_ensemble/`` for
    an ensemble.

    Several processes (``runs/processes.py``) decode a share of the batches each; the first does everything else, from
    all of them in the order of the data set.

    Args:
        config: of ``conf/evaluate.yaml``.

    Returns:
        What stands in metrics.json: error rates and shares as fractions, CIDEr-D as its reference scorer gives it.
        Empty in processes other than the first.

    Raises:
        ValueError: if the run, the split or its data cannot be read.
    """
    set_up_machine()
    torch.manual_seed(0)
    check_java_scores(config.extra_scores)
    overrides = {f"data.{key}": value for key, value in config.data.items()}
    run = load_together(config.run, config.ensemble, config.checkpoint, overrides)
    if config.extra_scores and not isinstance(run.module.scores, CaptionScores):
        raise ValueError(f"extra_scores: {list(config.extra_scores)}; expected [] for a run that writes no captions")
    if config.faithfulness and config.ensemble:
        raise ValueError("faithfulness: true; expected false for an ensemble, whose members read memories of their own")
    _check_word_times(run, config)
    device = config.device if config.device != "auto" else own_device()
    search = _search(run, config, device)
    run.module.to(device)
    cache_features(run.config, run.data, run.module.model, (config.split,))
    run.data.source(config.split)  # a missing split or folder is an error before anything is written
    folder = run.folder / "evaluation" / (config.split + ("_ensemble" if config.ensemble else ""))
    folder.mkdir(parents=True, exist_ok=True)

    shown = {example.key: example for example in run.data.source(config.split).spread(config.page_examples)}
    shares = gather_to_first(_decode_share(run, config, search, device, folder / "words", shown))
    if shares is None:
        return {}
    predictions, weights, records, skipped, attention_scores = _together(shares)
    skipped = run.data.skipped(config.split) + skipped
    if isinstance(search, NucleusSampling):
        search.sources_met = len(run.data.source(config.split))
    metrics = run.module.scores([p["text"] for p in predictions], [p["references"] for p in predictions])
    if isinstance(run.module.scores, CaptionScores):
        metrics |= caption_diversity([p["text"] for p in predictions], _training_texts(run))
        extra, missing = java_scores(
            config.extra_scores, [p["text"] for p in predictions], [p["references"] for p in predictions]
        )
        metrics |= extra
        for line in missing:
            log.warning(line)
    metrics |= attention_scores.compute()
    metrics["num_parameters"] = sum(parameter.numel() for parameter in run.module.model.parameters())
    metrics |= {"num_examples": len(predictions), "num_skipped": len(skipped)}
    metrics |= {
        f"num_{flag}": sum(flag in p["flags"] for p in predictions) for flag in ("empty", "looped", "hit_max_length")
    }
    if config.word_times == "ctc":
        metrics["num_without_ctc_path"] = sum(p["word_times"] != "ctc" for p in predictions)
    alarms: list[str] = []
    if config.faithfulness:
        examples = run.data.source(config.split).spread(config.faithfulness_examples)
        measures, alarms = measure_faithfulness(run, examples, search, folder, config.batch_size)
        metrics |= measures

    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    with (folder / "predictions.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in predictions)
    np.savez_compressed(folder / "attention.npz", **weights)  # type: ignore[arg-type]
    (folder / "skipped.txt").write_text("".join(f"{error.path}\t{error.reason}\n" for error in skipped))
    page = write_page(
        [records[key] for key in shown if key in records],
        folder / "index.html",
        f"{run.config.name}: {config.split}",
        metrics,
        alarms,
    )
    _print(metrics, alarms, page)
    return metrics


def _search(run: Run, config: DictConfig, device: str) -> Search:
    """Length limits that the command line leaves open (null) are those that the run was validated with."""
    limits = {key: run.config.search[key] for key in ("max_length", "max_length_ratio") if config.search[key] is None}
    node = cast(DictConfig, OmegaConf.merge(config.search, limits))
    tokenizer, language_model = run.module.tokenizer, None
    if node.get("language_model") is not None:
        language_model = load_language_model(node.language_model, tokenizer).to(device)
    return build_search(node, run.module.model, tokenizer, language_model)


def _training_texts(run: Run) -> list[str] | None:
    """None where the training data are not at hand: a run may be evaluated elsewhere."""
    try:
        return run.data.source("train").texts()
    except (OSError, ValueError):
        return None


def _check_word_times(run: Run, config: DictConfig) -> None:
    check_source(config.word_times, run)
    unknown = [kind for kind in config.transcripts if kind not in ENDINGS]
    if unknown or (config.transcripts and run.module.model.encoder.reads != "recording"):
        raise ValueError(
            f"transcripts: {list(config.transcripts)}; expected some of {', '.join(ENDINGS)}, for a run of recordings"
        )


class _Decoded(NamedTuple):
    """A batch as a process hands it to the first."""

    number: int  # of the batch in the data set
    predictions: list[dict[str, Any]]
    weights: list[np.ndarray]
    records: dict[str, Prediction]  # of those that the page shows, by key
    skipped: list[UnreadableError]
    attention_scores: AttentionScores


@torch.no_grad()
def _decode_share(
    run: Run, config: DictConfig, search: Search, device: str, words_folder: Path, shown: dict[str, Example]
) -> list[_Decoded]:
    """Every n-th batch of the split, as this process is one of n.

    What the page shows is decoded once, here: a search that draws would show other texts than predictions.jsonl has.
    """
    rank, number = process_share()
    loader = run.data.loader(config.split, batch_size=config.batch_size, share=(rank, number))
    decoded = []
    for step, batch in enumerate(track(loader, f"decoding {config.split}", disable=rank > 0)):
        found = _Decoded(step * number + rank, [], [], {}, batch.skipped, AttentionScores())
        decoded.append(found)
        if len(batch) == 0:
            continue
        if isinstance(search, NucleusSampling):
            search.sources_met = found.number * config.batch_size
        run.module.attention_scores = found.attention_scores
        batch = batch.to(device)
        output, memory = run.module.model(batch)
        for index, hypotheses in enumerate(run.module.decode(memory, search)):
            best = hypotheses[0]
            run.module.score_attention(batch, index, memory, output, best, ctc_spans(run, memory, index, best))
            real = int(memory.mask[index].sum())
            found.weights.append(best.weights[..., :real].to(torch.float16).numpy())
            found.predictions.append(_prediction(run, config, batch, index, memory, hypotheses, words_folder))
            if (example := shown.get(batch.keys[index])) is not None:
                # The batch may hold cached features where the page wants the picture.
                found.records[example.key] = record_of(run.module, example, hypotheses, memory, index)
    return decoded


def _together(
    shares: list[list[_Decoded]],
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray], dict[str, Prediction], list[UnreadableError], AttentionScores]:
    """The batches of all processes as one would have decoded them: sums depend on their order, in the last digits."""
    records: dict[str, Prediction] = {}
    predictions: list[dict[str, Any]] = []
    weights: dict[str, np.ndarray] = {}
    skipped: list[UnreadableError] = []
    attention_scores = AttentionScores()
    for batch in sorted((batch for share in shares for batch in share), key=lambda batch: batch.number):
        skipped += batch.skipped
        attention_scores.merge(batch.attention_scores)
        records |= batch.records
        for prediction, map_ in zip(batch.predictions, batch.weights, strict=True):
            prediction["attention"] = str(len(predictions))
            weights[prediction["attention"]] = map_
            predictions.append(prediction)
    return predictions, weights, records, skipped, attention_scores


def _prediction(
    run: Run,
    config: DictConfig,
    batch: Batch,
    index: int,
    memory: Memory,
    hypotheses: list[Hypothesis],
    words_folder: Path,
) -> dict[str, Any]:
    """A line of predictions.jsonl; writes the recording's files of ``transcripts``."""
    best, *others = hypotheses
    tokenizer = run.module.tokenizer
    prediction = {
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
        prediction |= _timed(run, config, batch, index, memory, best, words_folder)
    return prediction


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]


def _timed(
    run: Run, config: DictConfig, batch: Batch, index: int, memory: Memory, best: Hypothesis, folder: Path
) -> dict[str, Any]:
    """What predictions.jsonl says of a recording's words; writes its files of ``transcripts``."""
    timed = timed_words(run, memory, index, best, config.word_times)
    transcript = Transcript(timed.words, float(batch.source_lengths[index]) / run.config.data.sample_rate)
    name = batch.keys[index].replace("/", "-")
    for kind in config.transcripts:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.{ENDINGS[kind]}").write_text(render(transcript, name, kind), encoding="utf-8")
    return {"word_times": timed.source, "words": [word.as_dict() for word in timed.words]}


def _print(metrics: dict[str, float], alarms: list[str], page: Path) -> None:
    table = Table("measure", "value", title=str(page.parent))
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    console = Console()
    console.print(table)
    for alarm in alarms:
        console.print(alarm, style="bold red", markup=False, highlight=False)
    console.print(f"attention page: {page}", soft_wrap=True)
