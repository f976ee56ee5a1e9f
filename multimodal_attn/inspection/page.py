"""The inspection page: one HTML file that needs no server and no network."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from multimodal_attn.evaluation.grounding import pointing_hit
from multimodal_attn.evaluation.shape import relative_entropy
from multimodal_attn.evaluation.timing import onset_times
from multimodal_attn.inspection.colors import ALPHA_FLOOR, ALPHA_RANGE, HEAT, PHOTO_COLOR, drawn_weights, heat_limit
from multimodal_attn.inspection.record import AttentionRecord
from multimodal_attn.inspection.timeline import HOP_SECONDS, log_mel
from multimodal_attn.types import Grid, Timeline

PHOTO_PIXELS = 448  # longer side, at most
FLAC_BYTES = 65_000  # an example, on average: with more than that a page of 50 would pass 5 MB, and Opus it is
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
WAVE_COLUMNS = 600
SCRIPTS = ("page_maps.js", "page_example.js", "page_photo.js", "page_speech.js", "page.js")


def write_page(
    records: Sequence[AttentionRecord],
    path: str | Path,
    title: str,
    metrics: Mapping[str, Any] | None = None,
    alarms: Sequence[str] = (),
) -> Path:
    """Writes the page; an older one at this path is replaced only when the new one is whole.

    Args:
        records: of Grid or Timeline layouts.
        path: of the HTML file; its folder is made.
        title: of the page.
        metrics: numbers of the whole evaluation, for the table at the top.
        alarms: sentences that a reader must see before the maps, in red.

    Raises:
        ValueError: if there is no picture for a record's layout.
    """
    examples = [_example(record) for record in records]
    _add_audio(records, examples)
    overview = {
        "examples": [_summary(record, example) for record, example in zip(records, examples, strict=True)],
        "metrics": [[str(name), _number(value, 4)] for name, value in (metrics or {}).items()],
        "alarms": list(alarms),
        "heads": max((record.weights.shape[1] for record in records), default=1),
        "limits": [_number(heat_limit(records), 5), _number(_head_limit(records), 5)],
        "heat": base64.b64encode(np.rint(HEAT * 255).astype(np.uint8).tobytes()).decode(),
        "blend": {"floor": ALPHA_FLOOR, "range": ALPHA_RANGE, "photo": PHOTO_COLOR},
    }
    blocks = [_json_block("overview", overview)]
    # A block each, so that the browser parses an example when it comes into view and not before.
    blocks += [_json_block(f"example-{number}", example) for number, example in enumerate(examples)]
    text = _fill_template(title, "\n".join(blocks))

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
    return path


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


# ------------------------------------------------------------------------------------------------- examples


def _example(record: AttentionRecord) -> dict[str, Any]:
    """Everything of one example but its sound."""
    layout = record.layout
    maps = _word_maps(record)  # (1 or N + 1, W, S)
    common = {
        "tokens": record.tokens,
        "words": [[word, first, stop] for word, first, stop in record.words],
        "weights": pack_weights(record.weights),
        "entropy": _rounded(relative_entropy(maps), 3),
        "peak": _rounded(maps.max(axis=-1, initial=0.0), 5),
    }
    words = range(len(record.words))
    if isinstance(layout, Grid):
        image = Image.fromarray(record.source)
        image.thumbnail((PHOTO_PIXELS, PHOTO_PIXELS), Image.Resampling.LANCZOS)
        boxes = {index: record.boxes[index] for index in words if record.boxes.get(index)}
        hits = {index: pointing_hit(record.word_weights[index], layout, found) for index, found in boxes.items()}
        return common | {
            "kind": "grid",
            "rows": layout.rows,
            "columns": layout.columns,
            "photo": _picture(image),
            "width": image.width,
            "height": image.height,
            "boxes": {index: [_rounded(box, 4) for box in found] for index, found in boxes.items()},
            "hits": {index: _number(hit, 3) for index, hit in hits.items()},
        }
    if isinstance(layout, Timeline):
        spans = [(first, stop) for _, first, stop in record.words]
        heard = onset_times(drawn_weights(record), layout, spans) if record.weights.size else []
        mel = log_mel(record.source, record.sample_rate)
        top, bottom = float(mel.max()), float(mel.min())
        grey = np.rint(255 * (mel[::-1] - bottom) / max(top - bottom, 1e-6)).astype(np.uint8)
        return common | {
            "kind": "timeline",
            "seconds": len(record.source) / record.sample_rate,
            "step": layout.step_seconds,
            "offset": layout.offset_seconds,
            "mel": _picture(Image.fromarray(255 - grey)),  # loud is dark
            "melSpan": [-HOP_SECONDS / 2, (mel.shape[1] - 0.5) * HOP_SECONDS],
            "wave": _envelope(record.source),
            "times": {index: _rounded(record.times[index], 4) for index in words if index in record.times},
            "heard": [_rounded(span, 4) for span in heard],
        }
    raise ValueError(f"{record.key}: no page for layout {type(layout).__name__}; expected Grid or Timeline")


def _summary(record: AttentionRecord, example: Mapping[str, Any]) -> dict[str, Any]:
    """What sorting and filtering need to know without opening the example."""
    entropy = example["entropy"][0]
    late = [abs(example["heard"][i][0] - span[0]) for i, span in example.get("times", {}).items()]
    hits = list(example.get("hits", {}).values())
    return {
        "key": record.key,
        "text": record.text,
        "references": list(record.references),
        "score": _number(record.score, 4),
        "flags": list(record.flags),
        "kind": example["kind"],
        "entropy": _number(np.mean(entropy), 3) if entropy else None,
        "hits": _number(np.mean(hits), 3) if hits else None,
        "late": _number(1000 * np.median(late), 4) if late else None,
    }


def _word_maps(record: AttentionRecord) -> np.ndarray:
    """The mean map of each word, and under it each head's where there are several.

    Shapes:
        Returns (1, W, S) for a single head, else (1 + N, W, S).
    """
    heads = record.weights.shape[1]
    if heads < 2 or not record.words:
        return record.word_weights[None]
    each = np.stack([record.weights[first:stop].mean(axis=0) for _, first, stop in record.words], axis=1)  # (N, W, S)
    return np.concatenate([record.word_weights[None], each])


def _head_limit(records: Sequence[AttentionRecord]) -> float:
    """Where the scale ends while a single head is shown: heads are sharper than their mean."""
    peaks = [
        float(np.nan_to_num(_word_maps(r) if isinstance(r.layout, Grid) else r.weights).max(initial=0.0))
        for r in records
    ]
    return max(peaks, default=0.0) or 1.0


def _add_audio(records: Sequence[AttentionRecord], examples: Sequence[dict[str, Any]]) -> None:
    recordings = [(r, e) for r, e in zip(records, examples, strict=True) if e["kind"] == "timeline"]
    flac = [_sound(record, "FLAC", "PCM_16") for record, _ in recordings]
    lossless = sum(map(len, flac)) <= FLAC_BYTES * len(recordings)
    for (record, example), data in zip(recordings, flac, strict=True):
        if lossless or record.sample_rate not in OPUS_RATES:
            example["audio"] = _data_uri("audio/flac", data)
        else:
            example["audio"] = _data_uri("audio/ogg", _sound(record, "OGG", "OPUS"))


def _sound(record: AttentionRecord, container: str, codec: str) -> bytes:
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


# ------------------------------------------------------------------------------------------------ HTML, JSON


def _number(value: Any, digits: int) -> Any:
    """Numbers with few digits; None for what JSON has no word for; anything else as text."""
    if isinstance(value, bool | np.bool_ | str) or value is None:
        return None if value is None else str(value)
    if not isinstance(value, int | float | np.number):
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{digits}g}")


def _rounded(values: Any, digits: int) -> Any:
    array = np.nan_to_num(np.asarray(values, dtype=np.float64))
    return np.round(array, digits).tolist()


def _json_block(name: str, content: Any) -> str:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    # ASCII already; without < nothing in it can close the element or open a comment.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _fill_template(title: str, data: str) -> str:
    folder = resources.files("multimodal_attn.inspection")
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "TITLE": html.escape(title).encode("ascii", "xmlcharrefreplace").decode(),
        "STYLE": style,
        "STYLE_HASH": _content_hash(style),
        "SCRIPT": script,
        "SCRIPT_HASH": _content_hash(script),
        "DATA": data,
    }
    template = (folder / "page.html").read_text(encoding="utf-8")
    # In one pass: what looks like a slot inside of a caption stays a caption.
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], template)


def _content_hash(text: str) -> str:
    """For the content security policy: no script runs but ours, whatever a caption holds."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
