"""The inspection page: one HTML file that needs no server and no network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from multimodal_attn.inspection.figures.colors import ALPHA_FLOOR, ALPHA_RANGE, HEAT, PHOTO_COLOR, heat_limit
from multimodal_attn.inspection.page.data import (
    MEASURES,
    add_audio,
    describe_example,
    largest_head_weight,
    rounded_number,
    summarise,
)
from multimodal_attn.measures import headline
from multimodal_attn.prediction.prediction import Prediction

SCRIPTS = (
    "maps.js",
    "gate.js",
    "photo.js",
    "speech.js",
    "text.js",
    "example.js",
    "order.js",
    "page.js",
)
NUM_HEADLINE = 6


def write_page(
    records: Sequence[Prediction],
    path: str | Path,
    title: str,
    metrics: Mapping[str, Any] | None = None,
    alarms: Sequence[str] = (),
) -> Path:
    """Writes the page; an older one at this path is replaced only when the new one is whole.

    Args:
        records: of any layout; a TokenAxis needs the tokens of the source text as ``source``.
        path: of the HTML file; its folder is made.
        title: of the page.
        metrics: numbers of the whole evaluation: a headline at the top, the rest in a table to unfold.
        alarms: sentences that a reader must see before the maps, in red.

    Raises:
        ValueError: if there is no picture for a record's layout.
    """
    examples = [describe_example(record) for record in records]
    add_audio(records, examples)
    # Every hypothesis that can be drawn, on one scale.
    drawn = [
        hypothesis
        for record, example in zip(records, examples, strict=True)
        for hypothesis in [record, *record.others][: len(example["hypotheses"])]
    ]
    figures = metrics or {}
    overview = {
        "examples": [summarise(record, example) for record, example in zip(records, examples, strict=True)],
        "measures": list(MEASURES.items()),
        "metrics": [[str(name), rounded_number(value, 4)] for name, value in figures.items()],
        "headline": _headline(figures),
        "alarms": list(alarms),
        "heads": max((record.weights.shape[1] for record in records), default=1),
        "limits": [rounded_number(heat_limit(drawn), 5), rounded_number(largest_head_weight(drawn), 5)],
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


def _headline(figures: Mapping[str, Any]) -> list[str]:
    """What the run is judged by, each beside its baseline."""
    names = [name for found in headline(figures) for name in (found.name, found.baseline) if name in figures]
    return [str(name) for name in names[:NUM_HEADLINE]]


# ------------------------------------------------------------------------------------------------ HTML, JSON


def _json_block(name: str, content: Any) -> str:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    # ASCII already; without < nothing in it can close the element or open a comment.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _fill_template(title: str, data: str) -> str:
    folder = resources.files(__package__)
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
