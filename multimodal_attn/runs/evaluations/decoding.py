"""Decoding a split for an evaluation, by one process or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.progress import track

from multimodal_attn.distributed import process_share
from multimodal_attn.evaluation.attention.mistaken import looked_at
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.evaluation.attention.self_attention import self_attention
from multimodal_attn.prediction.confidence import word_log_probs
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.transcript import TimedWord, Transcript
from multimodal_attn.prediction.times.word_times import ctc_spans
from multimodal_attn.prediction.true_boxes import things, true_boxes
from multimodal_attn.runs.loading import Run
from multimodal_attn.types import Batch, Example, Grid, Hypothesis, Memory, Timeline, UnreadableError


class Decoded(NamedTuple):
    """A batch as a process hands it to the first, or all batches together."""

    number: int  # of the batch in the data set
    predictions: list[dict[str, Any]]
    sources: list[str]  # texts that were read, one for each prediction
    weights: dict[str, np.ndarray]
    log_probs: list[list[float]]  # of each prediction's words
    timed: list[Transcript | None]  # the words of recordings, with their times
    records: dict[str, Prediction]  # of those that the page shows, by key
    skipped: list[UnreadableError]
    attention_scores: AttentionScores


@torch.no_grad()
def decode_share(
    run: Run, predictor: Predictor, settings: Mapping[str, Any], shown: Mapping[str, Example]
) -> list[Decoded]:
    """Every n-th batch of the split, as this process is one of n.

    What the page shows is decoded once, here: a search that draws would show other texts than predictions.jsonl has.
    """
    rank, number = process_share()
    loader = run.data.loader(settings["split"], batch_size=settings["batch_size"], share=(rank, number))
    decoded = []
    for step, batch in enumerate(track(loader, f"decoding {settings['split']}", disable=rank > 0)):
        found = Decoded(step * number + rank, [], [], {}, [], [], {}, batch.skipped, AttentionScores())
        decoded.append(found)
        if len(batch) > 0:
            _decode_batch(found, batch.to(predictor.device), predictor, settings, shown)
    return decoded


def together(shares: list[list[Decoded]]) -> Decoded:
    """The batches of all processes as one would have decoded them: sums depend on their order, in the last digits."""
    joined = Decoded(0, [], [], {}, [], [], {}, [], AttentionScores())
    for batch in sorted((batch for share in shares for batch in share), key=lambda batch: batch.number):
        joined.skipped.extend(batch.skipped)
        joined.sources.extend(batch.sources)
        joined.attention_scores.merge(batch.attention_scores)
        joined.records.update(batch.records)
        joined.log_probs.extend(batch.log_probs)
        joined.timed.extend(batch.timed)
        for prediction in batch.predictions:
            name = str(len(joined.predictions))  # what was skipped leaves no gap
            joined.weights[name] = batch.weights[prediction["attention"]]
            joined.predictions.append({**prediction, "attention": name})
    return joined


def _decode_batch(
    found: Decoded, batch: Batch, predictor: Predictor, settings: Mapping[str, Any], shown: Mapping[str, Example]
) -> None:
    output, memory = predictor.model(batch)
    tokenizer, all_hypotheses = predictor.tokenizer, predictor.decode(memory, batch.keys)
    best = [hypotheses[0] for hypotheses in all_hypotheses]
    heard = [ctc_spans(predictor.model, tokenizer, memory, index, text) for index, text in enumerate(best)]
    found.attention_scores.update(batch, memory, output, best, tokenizer, predictor.source_tokenizer, heard)
    for index, hypotheses in enumerate(all_hypotheses):
        source, text = batch.source_texts[index], best[index]
        found.sources.append(source)
        spans = tokenizer.of_source(source).word_spans(text.tokens)
        found.log_probs.append(word_log_probs(text.log_probs.tolist(), spans))
        name = str(found.number * settings["batch_size"] + index)
        real = int(memory.mask[index].sum())
        found.weights[name] = text.weights[..., :real].to(torch.float16).numpy()
        line = {**_line(predictor, batch, index, hypotheses), "attention": name}
        if isinstance(memory.layout, Grid):
            line |= _mistaken(predictor, batch, index, memory, text)
        timed = None
        if isinstance(memory.layout, Timeline):
            times = predictor.word_times(memory, index, text, settings["word_times"], batch.waveform(index))
            line["word_times"] = times.source
            words = [TimedWord(word, *span) for word, span in zip(line["text"].split(), times.spans, strict=True)]
            timed = Transcript(words, float(batch.source_lengths[index]) / predictor.reader.sample_rate)
        found.timed.append(timed)
        found.predictions.append(line)
        if (example := shown.get(batch.keys[index])) is not None:
            # The batch may hold cached features where the page wants the picture.
            record = predictor.prediction(example, hypotheses, memory, index)
            if not settings["ensemble"]:  # whose members have layers of their own
                record.self_attention = self_attention(predictor, example, record)
            found.records[example.key] = record


def _line(predictor: Predictor, batch: Batch, index: int, hypotheses: list[Hypothesis]) -> dict[str, Any]:
    """A line of predictions.jsonl, but for the times and the confidence of its words."""
    best, *others = hypotheses
    tokenizer = predictor.tokenizer.of_source(batch.source_texts[index])
    return {
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
        "attention": "",  # name of its (tokens, heads, positions) array in attention.npz
    }


def _mistaken(predictor: Predictor, batch: Batch, index: int, memory: Memory, best: Hypothesis) -> dict[str, Any]:
    """What predictions.jsonl says of words that name another thing than the model looked at; nothing if there are none.

    Its indices are those of words.
    """
    assert isinstance(memory.layout, Grid)
    words, targets = predictor.tokenizer.decode(best.tokens).split(), batch.targets[index]
    boxes = true_boxes(words, targets)
    if not boxes:
        return {}
    weights = best.weights[..., : int(memory.mask[index].sum())].float().cpu().numpy().mean(axis=1)
    maps = np.stack([weights[first:stop].mean(0) for first, stop in predictor.tokenizer.word_spans(best.tokens)])
    found = looked_at(maps, memory.layout, boxes, things(targets))
    return {"looked_at": {str(word): name for word, name in found.items()}} if found else {}


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]
