"""Settings that make no sense, found before anything is read or written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from multimodal_attn.data.loading.build import dataset_part, loading_settings
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import EVERYTHING, checked, find, part, quietly
from multimodal_attn.prediction.build import build_model
from multimodal_attn.ranges import Seed
from multimodal_attn.runs.build import build_objectives, build_optimization, build_sampling, check_objectives
from multimodal_attn.runs.configuration import require
from multimodal_attn.runs.language_model import make_language_model
from multimodal_attn.runs.lightning import Metric
from multimodal_attn.runs.masked_language_model import build_masking, make_masked_language_model
from multimodal_attn.search.build import make_search

_TEXTS: dict[str, Any] = {
    **dict.fromkeys(("name", "run_dir", "cache_dir"), str),
    **dict.fromkeys(("resume", "init_from", "vocabulary_of", "started_in"), str | None),
    "seed": Seed,
}


@quietly()  # what is left out is told when the run is built
def check(settings: Mapping[str, Any], fresh: bool = True) -> None:
    """Refuses settings of a training that make no sense.

    The model is built of shapes alone (torch's "meta" device): that costs neither time nor memory, whatever its size.

    Args:
        settings: as plain containers.
        fresh: whether the model begins with random weights.

    Raises:
        ValueError: names the key and what was expected.
    """
    for key, annotation in _TEXTS.items():
        if key in settings:
            checked(key, settings[key], annotation)
    require(settings, ("data", "tokenizer", "optimizer", "trainer", "monitor"))
    dataset_part(settings["data"], EVERYTHING)
    loading_settings(settings["data"])
    _check_texts(settings)
    for key, annotation in (("monitor.name", Metric), ("monitor.mode", Literal["min", "max"])):
        require(settings, (key,))
        checked(key, settings["monitor"][key.rpartition(".")[2]], annotation)
    tokenizer: Tokenizer = part("tokenizer", settings["tokenizer"], Tokenizer, EVERYTHING)()
    build_optimization(settings)
    with torch.device("meta"):
        if "language_model" in settings:
            _check_size({"language_model": make_language_model(settings["language_model"], tokenizer, EVERYTHING)})
        elif "masking" in settings:
            require(settings, ("encoder",))
            build_masking(settings["masking"])
            _check_size({"encoder": make_masked_language_model(settings["encoder"], tokenizer, EVERYTHING)})
        else:
            _check_model(settings, tokenizer, fresh)


def _check_texts(settings: Mapping[str, Any]) -> None:
    """Refuses texts alone for what reads one thing to write another, and other data for language models."""
    side, share = settings["data"].get("texts"), settings["data"].get("corrupted_share")
    alone = "language_model" in settings or "masking" in settings
    if alone and (side is None or share):
        raise ValueError(
            f"data.texts: {side} with data.corrupted_share={share or 0:g}; a language model learns from whole texts:"
            " expected data.texts=source, target or all, and data.corrupted_share=0"
        )
    if side is not None and not alone and not share:
        raise ValueError(
            f"data.texts: {side}; there would be nothing to read; expected null, or data.corrupted_share=0.15 as well"
        )


def _check_model(settings: Mapping[str, Any], tokenizer: Tokenizer, fresh: bool) -> None:
    require(settings, ("encoder", "decoder", "search", "metrics", "scheduled_sampling"))
    node = settings.get("source_tokenizer")
    source_tokenizer = None if node is None else part("source_tokenizer", node, Tokenizer, EVERYTHING)()
    objectives = build_objectives(settings)
    if fresh and not any(objective.needs_output for objective in objectives.values()):
        raise ValueError(
            f"objective: {', '.join(objectives)} alone cannot teach a model that has not learned to write yet;"
            " start from a run with init_from=outputs/RUN, or add cross_entropy"
        )
    # Found and not built: encoders within another would fetch their weights.
    wanted = settings["encoder"] if isinstance(settings["encoder"], Mapping) else {"_target_": settings["encoder"]}
    encoder: type[Encoder] = find("encoder", wanted.get("_target_"), Encoder, EVERYTHING)  # type: ignore[assignment]
    light = encoder.from_checkpoint if settings["resume"] else encoder.without_download
    unfetched = {**settings, "encoder": light(wanted, EVERYTHING)}
    needs_ctc = any(objective.needs_ctc_head for objective in objectives.values())
    model = build_model(unfetched, tokenizer, source_tokenizer, needs_ctc, EVERYTHING)
    check_objectives(model, objectives)
    _check_size({"encoder": model.encoder, "decoder": model.decoder})
    make_search(settings["search"], EVERYTHING)
    part("metrics", settings["metrics"], TextScores, EVERYTHING)()
    build_sampling(settings)


def _check_size(models: Mapping[str, nn.Module]) -> None:
    """Refuses a model that would not fit into memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for key, model in models.items():
        needed = sum(weight.numel() * weight.element_size() for weight in model.state_dict().values())
        if needed > memory:
            raise ValueError(
                f"{key}: its weights take {needed / 2**30:,.0f} GiB; expected at most the {memory / 2**30:,.0f} GiB of"
                " this machine's memory"
            )
