"""The inspection page: one HTML file that needs no server and no network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from multimodal_attn.inspection.charts.gate import gate_title
from multimodal_attn.inspection.figures.colors import ALPHA_FLOOR, ALPHA_RANGE, HEAT, PHOTO_COLOR
from multimodal_attn.inspection.page.data import MEASURES, describe_example, summarize
from multimodal_attn.inspection.page.packing import rounded_number
from multimodal_attn.inspection.page.self_attention import pack_self_attention
from multimodal_attn.inspection.views import heat_limit
from multimodal_attn.inspection.views.base import NEARLY_UNIFORM
from multimodal_attn.measures import Measure, beside, groups, headline, measure, shown, shown_interval
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.writing import write_file

PAGE_BYTES = 4_890_000  # of a page with 50 examples, without its own script
LEAST_LAYERS, MOST_LAYERS = 10_000, 120_000  # bytes, for the self-attention of an example
_SPLITS = {"train": "training", "val": "validation", "test": "test"}


def page_title(run: str, split: str | None) -> str:
    """Of the page of a run's examples, wherever it is made; ``split`` is None for sources from elsewhere."""
    return f"{run}: {'predictions' if split is None else _SPLITS.get(split, split)}"


def write_page(
    predictions: Sequence[Prediction],
    path: str | Path,
    title: str,
    metrics: Mapping[str, Any] | None = None,
    alarms: Sequence[str] = (),
    total: int | None = None,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> Path:
    """Writes the page; an older one at this path is replaced only when the new one is whole.

    Args:
        predictions: of any layout.
        path: of the HTML file; its folder is made.
        title: of the page, see ``page_title``.
        metrics: numbers of the whole evaluation: a headline at the top, the rest in tables to unfold.
        alarms: sentences that a reader must see before the maps, in red.
        total: how many examples the predictions were chosen from; None if they are all.
        intervals: the 95 % interval of each figure that has one.

    Raises:
        ValueError: if nothing shows a prediction's layout.
    """
    write_file(path, render_page(predictions, title, metrics, alarms, total, intervals))
    return Path(path)


def render_page(
    predictions: Sequence[Prediction],
    title: str,
    metrics: Mapping[str, Any] | None = None,
    alarms: Sequence[str] = (),
    total: int | None = None,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """The page as text; arguments as for ``write_page``."""
    examples = [describe_example(prediction) for prediction in predictions]
    # Every hypothesis that can be drawn, on one scale.
    drawn = [
        hypothesis
        for prediction, example in zip(predictions, examples, strict=True)
        for hypothesis in [prediction, *prediction.others][: len(example["hypotheses"])]
    ]
    gated = next((prediction for prediction in predictions if prediction.gate), None)
    overview = {
        "examples": [summarize(prediction) for prediction in predictions],
        "total": total,
        "measures": list((MEASURES | ({"gate": f"{gate_title(gated)}, mean"} if gated else {})).items()),
        **_run_figures(metrics or {}, intervals or {}),
        "alarms": list(alarms),
        "truth": any(each.boxes or each.times or each.true_words or each.links for each in predictions),
        "heads": max((prediction.weights.shape[1] for prediction in predictions), default=1),
        "limits": [rounded_number(heat_limit(drawn, each_head), 5) for each_head in (False, True)],
        "nearlyUniform": NEARLY_UNIFORM,
        "heat": base64.b64encode(np.rint(HEAT * 255).astype(np.uint8).tobytes()).decode(),
        "blend": {"floor": ALPHA_FLOOR, "range": ALPHA_RANGE, "photo": PHOTO_COLOR},
    }
    blocks = [_json_block("overview", overview)]
    # A block each, so that the browser parses an example when it comes into view and not before.
    blocks += [_json_block(f"example-{number}", example) for number, example in enumerate(examples)]
    blocks += _layer_blocks(predictions, PAGE_BYTES - sum(map(len, blocks)))
    return _fill_template(title, "\n".join(blocks))


# --------------------------------------------------------------------------------------------- the run's figures


def _run_figures(metrics: Mapping[str, Any], ends: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """What the run is judged by, and all figures in groups."""
    return {
        "headline": [_figure(found, metrics, ends) for found in headline(metrics)],
        "figures": [
            [title, [_figure(found, metrics, ends) for found in members]] for title, members in groups(metrics).items()
        ],
    }


def _figure(found: Measure, metrics: Mapping[str, Any], ends: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    baseline = None
    if (value := beside(metrics, found)) is not None:
        compared = measure(found.baseline).title if isinstance(found.baseline, str) else "chance"
        baseline = f"{compared}: {_shown(found.name, value)}"
    return {
        "name": found.name,
        "title": found.title,
        "value": _shown(found.name, metrics[found.name]),
        "interval": shown_interval(found.name, ends[found.name]) if found.name in ends else None,
        "baseline": baseline,
        "meaning": found.meaning,
    }


def _shown(name: str, value: Any) -> str:
    """What a logger's figures may hold is not always a number."""
    if isinstance(value, bool | str) or value is None:
        return "n/a" if value is None else str(value)
    number = float(value)
    return shown(name, number) if np.isfinite(number) else "n/a"


# ------------------------------------------------------------------------------------------------ HTML, JSON


def _layer_blocks(predictions: Sequence[Prediction], left: int) -> list[str]:
    """Blocks of what examples unfold, which share the room that is left; where it is little, the last go without."""
    found = {number: each.self_attention for number, each in enumerate(predictions) if each.self_attention}
    number = max(min(len(found), left // LEAST_LAYERS), 1)
    room = min(left // number, MOST_LAYERS)
    chosen = list(found.items())[:number]
    return [_json_block(f"layers-{place}", pack_self_attention(each, room)) for place, each in chosen]


def _json_block(name: str, content: Any) -> str:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    # ASCII already; without < nothing in it can close the element or open a comment.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{name}">{text}</script>'


def script() -> str:
    """All scripts in one: ``core.js``, the page's own, and each view and chart in a scope of its own.

    They only define and register; the page starts when it has been read, so their order does not matter.
    """
    room = resources.files("multimodal_attn.inspection")
    own = [f"{{\n{text}}}" for folder in ("views", "charts") for text in _texts(room / folder)]
    return "\n".join([*_texts(room / "page"), *own])


def _texts(folder: Any) -> list[str]:
    files = [file for file in folder.iterdir() if file.name.endswith(".js")]
    return [
        file.read_text(encoding="utf-8") for file in sorted(files, key=lambda file: (file.name != "core.js", file.name))
    ]


def _fill_template(title: str, data: str) -> str:
    folder = resources.files(__package__)
    style, code = (folder / "page.css").read_text(encoding="utf-8"), script()
    parts = {
        "TITLE": html.escape(title).encode("ascii", "xmlcharrefreplace").decode(),
        "STYLE": style,
        "STYLE_HASH": _content_hash(style),
        "SCRIPT": code,
        "SCRIPT_HASH": _content_hash(code),
        "DATA": data,
    }
    template = (folder / "page.html").read_text(encoding="utf-8")
    # In one pass: what looks like a slot inside of a caption stays a caption.
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], template)


def _content_hash(text: str) -> str:
    """For the content security policy: no script runs but ours, whatever a caption holds."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
