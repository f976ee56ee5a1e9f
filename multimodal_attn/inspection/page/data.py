"""What the page holds of one example: its source, each hypothesis with packed weights, and measures to sort by."""

from __future__ import annotations

import base64
import io
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from multimodal_attn.evaluation.attention.grounding import pointing_hit
from multimodal_attn.evaluation.attention.shape import relative_entropy
from multimodal_attn.evaluation.texts.ptb import ptb_tokenize
from multimodal_attn.evaluation.texts.rouge import RougeL
from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.inspection.figures.colors import drawn_weights
from multimodal_attn.inspection.figures.timeline import HOP_SECONDS, log_mel
from multimodal_attn.measures import measure
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.timing import onset_times
from multimodal_attn.types import Grid, Timeline, TokenAxis

PHOTO_PIXELS = 448  # longer side, at most
# An example, on average: with more than that a page of 50 would pass 5 MB, and Opus it is.
FLAC_BYTES = 44_000
OTHERS_BYTES = 20_000  # an example, for the weights of all hypotheses but the best
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
WAVE_COLUMNS = 600
MEL_COLUMNS = 900  # at most: the page has no more pixels for it

MEASURES = {
    "score": "Score of the search",
    "wer": measure("wer").title,
    "rouge_l": measure("rouge_l").title,
    "entropy": measure("attention_entropy").title,
    "peak": measure("attention_peak").title,
    "hits": measure("pointing_accuracy").title,
    "late": f"{measure('onset_error_ms').title}, ms",
    "gate": "Mean gate",
    "words": "Number of words",
}
"""What examples can be sorted and filtered by: name in ``summarise`` -> name on the page."""


def describe_example(record: Prediction) -> dict[str, Any]:
    """Everything of one example but its sound.

    Hypotheses after the best stay out where their weights would make the page too large; ``found`` counts them all.

    Raises:
        ValueError: if there is no picture for the record's layout.
    """
    hypotheses, room = [_hypothesis(record)], OTHERS_BYTES
    for other in record.others:
        hypothesis = _hypothesis(other)
        packed = hypothesis["weights"]
        room -= len(packed["data"]) + 12 * np.size(packed["scale"])
        if room < 0:
            break
        hypotheses.append(hypothesis)
    return _source(record) | {"hypotheses": hypotheses, "found": 1 + len(record.others)}


def summarise(record: Prediction, example: Mapping[str, Any]) -> dict[str, Any]:
    """What finding, sorting and filtering need to know without opening the example; measures are of the best text."""
    best = example["hypotheses"][0]
    late = [abs(best["heard"][i][0] - span[0]) for i, span in best.get("times", {}).items()]
    measures = dict.fromkeys(MEASURES) | {
        "score": rounded_number(record.score, 4),
        "entropy": _mean(best["entropy"][0]),
        "peak": _mean(best["peak"][0]),
        "hits": _mean(best.get("hits", {}).values()),
        "late": rounded_number(1000 * np.median(late), 4) if late else None,
        "gate": _mean(record.gate),
        "words": len(record.word_tokens),
    }
    if record.references and isinstance(record.layout, Timeline):
        measures["wer"] = rounded_number(TranscriptScores()([record.text], [record.references])["wer"], 3)
    elif record.references:
        rouge = RougeL([[ptb_tokenize(text) for text in record.references]])
        measures["rouge_l"] = rounded_number(rouge([ptb_tokenize(record.text)])[0], 3)
    return {
        "key": record.key,
        "text": record.text,
        "references": list(record.references),
        "flags": list(record.flags),
        "kind": example["kind"],
        "measures": measures,
    }


def largest_head_weight(records: Sequence[Prediction]) -> float:
    """Where the scale ends while a single head is shown: heads are sharper than their mean."""
    peaks = [
        float(np.nan_to_num(_word_maps(r) if isinstance(r.layout, Grid) else r.weights).max(initial=0.0))
        for r in records
    ]
    return max(peaks, default=0.0) or 1.0


def add_audio(records: Sequence[Prediction], examples: Sequence[dict[str, Any]]) -> None:
    """Gives every recording its sound: lossless where that leaves the page small enough."""
    recordings = [(r, e) for r, e in zip(records, examples, strict=True) if e["kind"] == "timeline"]
    flac = [_sound(record, "FLAC", "PCM_16") for record, _ in recordings]
    lossless = sum(map(len, flac)) <= FLAC_BYTES * len(recordings)
    for (record, example), data in zip(recordings, flac, strict=True):
        if lossless or record.sample_rate not in OPUS_RATES:
            example["audio"] = _data_uri("audio/flac", data)
        else:
            example["audio"] = _data_uri("audio/ogg", _sound(record, "OGG", "OPUS"))


def pack_weights(weights: np.ndarray) -> dict[str, Any]:
    """Weights as bytes: ``weights[t, n] = scale[t][n] * codes[t, n] / 255``, zlib-compressed, in base64.

    Each row has its own scale, so that a nearly uniform row keeps as many levels as a sharp one, and no weight is off
    by more than its row's largest / 510.

    Shapes:
        weights: (T, N, S).
    """
    weights = np.nan_to_num(np.asarray(weights, dtype=np.float64))
    scale = np.array([float(f"{top:.8g}") for top in weights.max(axis=-1, initial=0.0).ravel()])
    scale = scale.reshape(weights.shape[:2])
    codes = np.rint(np.clip(weights / np.where(scale > 0, scale, 1)[..., None], 0, 1) * 255).astype(np.uint8)
    data = base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode()
    return {"shape": list(weights.shape), "scale": scale.tolist(), "data": data}


def unpack_weights(packed: Mapping[str, Any]) -> np.ndarray:
    """What the page's script reads back from ``pack_weights``.

    Shapes:
        Returns (T, N, S).
    """
    codes = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), dtype=np.uint8)
    scale = np.asarray(packed["scale"], dtype=np.float64).reshape(packed["shape"][:2])
    return (codes.reshape(packed["shape"]) * (scale[..., None] / 255)).astype(np.float32)


def rounded_number(value: Any, digits: int) -> Any:
    """Numbers with few digits; None for what JSON has no word for; anything else as text."""
    if isinstance(value, bool | np.bool_ | str) or value is None:
        return None if value is None else str(value)
    if not isinstance(value, int | float | np.number):
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{digits}g}")


# ------------------------------------------------------------------------------------------------------ parts


def _source(record: Prediction) -> dict[str, Any]:
    """What was read: the same for every hypothesis."""
    layout = record.layout
    if isinstance(layout, Grid):
        image = Image.fromarray(record.source)
        image.thumbnail((PHOTO_PIXELS, PHOTO_PIXELS), Image.Resampling.LANCZOS)
        return {
            "kind": "grid",
            "rows": layout.rows,
            "columns": layout.columns,
            "photo": _picture(image),
            "width": image.width,
            "height": image.height,
        }
    if isinstance(layout, Timeline):
        mel = log_mel(record.source, record.sample_rate)
        top, bottom = float(mel.max()), float(mel.min())
        grey = np.rint(255 * (mel[::-1] - bottom) / max(top - bottom, 1e-6)).astype(np.uint8)
        image = Image.fromarray(255 - grey)  # loud is dark
        if image.width > MEL_COLUMNS:
            image = image.resize((MEL_COLUMNS, image.height), Image.Resampling.BOX)
        return {
            "kind": "timeline",
            "seconds": len(record.source) / record.sample_rate,
            "step": layout.step_seconds,
            "offset": layout.offset_seconds,
            "mel": _picture(image),
            "melSpan": [-HOP_SECONDS / 2, (mel.shape[1] - 0.5) * HOP_SECONDS],
            "wave": _envelope(record.source),
        }
    if isinstance(layout, TokenAxis):
        return {"kind": "text", "source": [str(token) for token in record.source]}
    raise ValueError(f"{record.key}: no page for layout {type(layout).__name__}; expected Grid, Timeline or TokenAxis")


def _hypothesis(record: Prediction) -> dict[str, Any]:
    """One text with its attention, and the truth about its words."""
    maps = _word_maps(record)  # (1 or N + 1, W, S)
    words = range(len(record.word_tokens))
    result: dict[str, Any] = {
        "text": record.text,
        "score": rounded_number(record.score, 4),
        "flags": list(record.flags),
        "tokens": record.tokens,
        "words": [[word, first, stop] for word, first, stop in record.word_tokens],
        "weights": pack_weights(record.weights),
        "entropy": _rounded(relative_entropy(maps), 3),
        "peak": _rounded(maps.max(axis=-1, initial=0.0), 5),
    }
    if record.gate:
        result |= {"gate": _rounded(record.gate, 3), "gate_name": record.gate_name}
    layout = record.layout
    if isinstance(layout, Grid):
        boxes = {index: record.boxes[index] for index in words if record.boxes.get(index)}
        hits = {index: pointing_hit(record.word_weights[index], layout, found) for index, found in boxes.items()}
        result["boxes"] = {index: [_rounded(box, 4) for box in found] for index, found in boxes.items()}
        result["hits"] = {index: rounded_number(hit, 3) for index, hit in hits.items()}
    elif isinstance(layout, Timeline):
        spans = [(first, stop) for _, first, stop in record.word_tokens]
        heard = onset_times(drawn_weights(record), layout, spans) if record.weights.size else []
        result["times"] = {index: _rounded(record.times[index], 4) for index in words if index in record.times}
        result["heard"] = [_rounded(span, 4) for span in heard]
    else:
        result["links"] = {index: record.links[index] for index in words if record.links.get(index)}
    return result


def _word_maps(record: Prediction) -> np.ndarray:
    """The mean map of each word, and under it each head's where there are several.

    Shapes:
        Returns (1, W, S) for a single head, else (1 + N, W, S).
    """
    heads = record.weights.shape[1]
    if heads < 2 or not record.word_tokens:
        return record.word_weights[None]
    each = np.stack(
        [record.weights[first:stop].mean(axis=0) for _, first, stop in record.word_tokens], axis=1
    )  # (N, W, S)
    return np.concatenate([record.word_weights[None], each])


def _sound(record: Prediction, container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    samples = np.clip(np.nan_to_num(record.source), -1, 1)
    soundfile.write(buffer, samples, record.sample_rate, format=container, subtype=codec)
    return buffer.getvalue()


def _picture(image: Image.Image) -> str:
    buffer = io.BytesIO()
    # Small pictures are drawn enlarged, where the artefacts of a stronger compression would show.
    image.save(buffer, "JPEG", quality=95 if max(image.size) <= 128 else 82, optimize=True)
    return _data_uri("image/jpeg", buffer.getvalue())


def _envelope(waveform: np.ndarray) -> list[list[int]]:
    """Lowest and highest sample of each column, in hundredths of the loudest."""
    samples = np.nan_to_num(np.asarray(waveform, dtype=np.float32))
    samples = samples / max(float(np.abs(samples).max(initial=0.0)), 1e-6)
    columns = [c for c in np.array_split(samples, min(WAVE_COLUMNS, max(len(samples), 1))) if c.size]
    return [[round(100 * float(c.min())) for c in columns], [round(100 * float(c.max())) for c in columns]]


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _rounded(values: Any, digits: int) -> Any:
    array = np.nan_to_num(np.asarray(values, dtype=np.float64))
    return np.round(array, digits).tolist()


def _mean(values: Any) -> Any:
    """None where there is nothing to average."""
    values = list(values)
    return rounded_number(np.mean(values), 3) if values else None
