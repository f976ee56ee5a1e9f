"""What an evaluation may be told (``conf/evaluate.yaml``), and the search that it makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.machine import check_device
from multimodal_attn.parts import EVERYTHING, checked
from multimodal_attn.prediction.recordings.transcript import ENDINGS
from multimodal_attn.prediction.times.word_times import check_time_source
from multimodal_attn.ranges import Count, WholeNumber
from multimodal_attn.runs.configuration import refuse_unknown, require
from multimodal_attn.runs.evaluations.folder import LIMITS, RULES, check_tag, inherited
from multimodal_attn.runs.language_model import load_language_model
from multimodal_attn.runs.loading import Run
from multimodal_attn.search import Search
from multimodal_attn.search.build import build_search, make_search
from multimodal_attn.types import Timeline

SETTINGS: dict[str, Any] = {
    "run": str,
    "split": Split,
    "tag": Annotated[str, AfterValidator(check_tag)] | None,
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


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuses settings that make no sense, before a run is read.

    Raises:
        ValueError: names the key and what was expected.
    """
    refuse_unknown(settings, SETTINGS)
    require(settings, tuple(key for key in SETTINGS if key not in ("logger", "tag")))
    for key, annotation in SETTINGS.items():
        if key != "search":  # checked when it is built
            checked(key, settings.get(key), annotation)
    if settings["device"] != "auto":
        check_device(settings["device"])
    _check_search(settings["search"])


def _check_search(node: Mapping[str, Any]) -> None:
    """Refuses settings that make no sense before the run is read; what that is to say, and its models, come later."""
    if not isinstance(node, Mapping):
        raise ValueError(f"search: {node!r}; expected settings such as search.width=5")
    checked("search.language_model", node.get("language_model"), str | None)
    later = {key for key in (*LIMITS, *RULES) if node.get(key) is None} | {"language_model"}
    if node.get("language_model") is not None:
        later.add("language_model_weight")  # which its scorer refuses without a model
    make_search({key: value for key, value in node.items() if key not in later}, EVERYTHING)


def check_run(settings: Mapping[str, Any], run: Run) -> None:
    """Refuses settings that do not go with a run.

    Raises:
        ValueError: names the key and what was expected.
    """
    if settings["faithfulness"] and settings["ensemble"]:
        raise ValueError("faithfulness: true; expected false for an ensemble, whose members read memories of their own")
    model = run.predictor.model
    check_time_source(settings["word_times"], model, run.predictor.name)
    kinds = settings["transcripts"]
    if any(kind not in ENDINGS for kind in kinds) or (kinds and not isinstance(model.encoder.layout, Timeline)):
        raise ValueError(f"transcripts: {kinds}; expected some of {', '.join(ENDINGS)}, for a run of recordings")


def search_node(run: Run, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The search with what the command line leaves open (null): limits of the run, and its rules unless told not to."""
    own, node = run.config["search"], settings["search"]
    found = {key: value for key, value in node.items() if value is not None or key not in (*LIMITS, *RULES)}
    left_open = [key for key in inherited(settings["search_rules"]) if key not in found]
    return found | {key: own[key] for key in left_open if own.get(key) is not None}


def search_of(run: Run, node: Mapping[str, Any], device: str) -> Search:
    """The search of a node, with its language model on a device."""
    predictor = run.predictor
    return build_search(
        node,
        predictor.model,
        predictor.tokenizer,
        EVERYTHING,
        lambda path: load_language_model(path, predictor.tokenizer).to(device),
    )
