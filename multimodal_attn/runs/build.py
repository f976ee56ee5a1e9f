"""What trains a predictor, from the configuration of the user's own command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.loading.features import Distortion, FrozenEncoder
from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.parts import EVERYTHING, checked, part
from multimodal_attn.prediction.build import build_predictor
from multimodal_attn.prediction.checkpoint import Checkpoint, fill, with_encoder_of_checkpoint
from multimodal_attn.ranges import Seed
from multimodal_attn.runs.lightning import lightning_part
from multimodal_attn.tracking.wandb import with_run_id
from multimodal_attn.training.module import ScheduledSampling, Seq2SeqModule
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.training.optimizers import adamw, cosine

_AT_ONCE = 8
"""Sources that a frozen network encodes together on a CPU: their feature maps stay near its caches, which halves the
time."""


def build_module(
    config: Mapping[str, Any],
    tokenizer: Tokenizer,
    source_tokenizer: Tokenizer | None = None,
    trust: Collection[str] = EVERYTHING,
    checkpoint: Checkpoint | None = None,
) -> Seq2SeqModule:
    """The LightningModule with a freshly initialized model, or with that of a checkpoint.

    Args:
        config: of the run, as plain containers.
        tokenizer: of the texts to be written.
        source_tokenizer: of sources that are texts.
        trust: packages whose classes are allowed beside this one's.
        checkpoint: of the run that goes on: the encoder needs neither a download nor a file.
    """
    objectives = build_objectives(config, trust)
    needs_ctc = any(objective.needs_ctc_head for objective in objectives.values())
    own = config if checkpoint is None else with_encoder_of_checkpoint(config, trust)
    predictor = build_predictor(own, tokenizer, source_tokenizer, needs_ctc, trust)
    if checkpoint is not None:
        fill(predictor.model, checkpoint)
        predictor.model.encoder.restored(config["encoder"])
    check_objectives(predictor.model, objectives)
    return Seq2SeqModule(
        predictor,
        objectives,
        part("metrics", config["metrics"], TextScores, trust)(),
        **build_optimization(config, trust),
        sampling=build_sampling(config),
        seed=checked("seed", config["seed"], Seed),
        config={**config, "encoder": _joined(config["encoder"], predictor.model.encoder.found())},
    )


def build_objectives(config: Mapping[str, Any], trust: Collection[str] = EVERYTHING) -> dict[str, Objective]:
    """The objectives by name.

    Raises:
        ValueError: names the key and what was expected; also if there is none.
    """
    nodes = config.get("objective") or {}
    objectives = {
        name: part(f"objective.{name}", node, Objective, trust)()
        for name, node in (nodes.items() if isinstance(nodes, Mapping) else [("", nodes)])
        # A node without a target holds an experiment's settings for an objective that the command line exchanged.
        if node is not None and not (isinstance(node, Mapping) and "_target_" not in node)
    }
    if not objectives:
        raise ValueError("objective: none chosen; expected one or more, such as objective=[cross_entropy,ctc]")
    return objectives


def check_objectives(model: Seq2Seq, objectives: Mapping[str, Objective]) -> None:
    """Refuses a model that would not learn where to look."""
    wanted = model.decoder.objective
    if wanted is not None and wanted not in objectives:
        raise ValueError(
            f"objective: {', '.join(objectives)}; this attention learns where to look through {wanted} alone:"
            f" expected objective=[cross_entropy,{wanted}]"
        )


def check_copying(model: Seq2Seq, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None) -> None:
    """Refuses a decoder and a tokenizer of which only one can write words that the vocabulary lacks, and words that are
    to be copied from a source that has no token for each."""
    if model.decoder.copies != tokenizer.copies:
        which = ("decoder", "tokenizer") if tokenizer.copies else ("tokenizer", "decoder")
        raise ValueError(
            f"{which[0]}: it cannot copy words of the source, which this {which[1]} does; expected"
            " decoder=pointer_generator or copy_net with tokenizer=copying_word, or neither"
        )
    if tokenizer.copies and not (source_tokenizer is not None and source_tokenizer.whole_words):
        raise ValueError(
            "source_tokenizer: this tokenizer copies words from source texts; expected"
            " tokenizer@source_tokenizer=word or frequent_word, or another tokenizer="
        )


def build_sampling(config: Mapping[str, Any]) -> ScheduledSampling:
    """Scheduled sampling, which has no choice of classes."""
    node = config["scheduled_sampling"]
    if not isinstance(node, Mapping):
        raise ValueError(f"scheduled_sampling: {node!r}; expected settings such as scheduled_sampling.probability=0.1")
    target = {"_target_": f"{ScheduledSampling.__module__}.{ScheduledSampling.__qualname__}"}
    return part("scheduled_sampling", {**target, **node}, ScheduledSampling)()


def build_optimization(config: Mapping[str, Any], trust: Collection[str] = EVERYTHING) -> dict[str, Any]:
    """What makes the optimizer and its schedule."""
    optimizer = part("optimizer", config["optimizer"], adamw, trust, given=("model",))
    scheduler = config.get("scheduler")
    if scheduler is not None:
        scheduler = part("scheduler", scheduler, cosine, trust, given=("optimizer", "total_steps"))
    return {
        "optimizer": lambda model: optimizer(model=model),
        "scheduler": scheduler
        and (lambda optimizer, total_steps: scheduler(optimizer=optimizer, total_steps=total_steps)),
    }


def build_callbacks(config: Mapping[str, Any]) -> list[pl.Callback]:
    """Those of the configuration that are not switched off with ``null``."""
    return [
        lightning_part(f"callbacks.{name}", node, pl.Callback)() for name, node in _switched_on(config, "callbacks")
    ]


def build_loggers(config: Mapping[str, Any], run_dir: Path) -> list[Logger]:
    """Those of the configuration that are not switched off with ``null``; all are checked before a file is written."""
    checked_parts = {
        name: lightning_part(f"logger.{name}", node, Logger)  # type: ignore[type-abstract]
        for name, node in _switched_on(config, "logger")
    }
    identified = with_run_id({name: config["logger"][name] for name in checked_parts}, run_dir)
    return [lightning_part(f"logger.{name}", node, Logger)() for name, node in identified.items()]  # type: ignore[type-abstract]


def cache_features(data: DataModule, model: Seq2Seq, splits: tuple[Split, ...], node: Mapping[str, Any]) -> None:
    """Passes every source once through a frozen encoder, if there is a folder to keep the result in.

    Of an encoder with several parts all must be frozen: one that trains needs the sources themselves.

    Args:
        data: of the run.
        model: whose encoder it is.
        splits: whose sources.
        node: of the data in the run's configuration.
    """
    cache_dir = node.get("cache_dir")
    encoders = [(encoder, encoder.cache_fingerprint()) for encoder in model.encoder.parts()] if cache_dir else []
    if cache_dir is None or any(fingerprint is None for _, fingerprint in encoders):
        return
    reader = data.source(splits[0]).reader
    device = model.decoder.vocabulary.weight.device
    frozen = [
        FrozenEncoder(
            str(fingerprint), partial(_extract, encoder, reader, device), encoder.network_name or type(encoder).__name__
        )
        for encoder, fingerprint in encoders
    ]
    places = [str(node[key]) for key in ("root", "train") if node.get(key)]
    name = " ".join([node["_target_"].rpartition(".")[2], *places])
    fingerprint = model.encoder.distortion_fingerprint()
    distortion = None if fingerprint is None else Distortion(fingerprint, model.encoder.distort)
    with evaluating(model):
        for split in splits:
            data.cache_features(split, frozen, cache_dir, distortion, name)


@torch.no_grad()
def _extract(encoder: Encoder, reader: Reader, device: torch.device, sources: list[Tensor]) -> list[Tensor]:
    """What an encoder makes of each source, (S, width)."""
    at_once = len(sources) if device.type == "cuda" else min(_AT_ONCE, reader.at_once)
    found: list[Tensor] = []
    for first in range(0, len(sources), at_once):
        padded, lengths = reader.pad(sources[first : first + at_once])
        features, positions = encoder.extract(padded.to(device), lengths.to(device))
        found += [each[:number] for each, number in zip(features, positions.tolist(), strict=True)]
    return found


def _switched_on(config: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    nodes = config.get(section) or {}
    if not isinstance(nodes, Mapping):
        raise ValueError(f"{section}: {nodes!r}; expected the names of some, such as {section}=[default]")
    return [(name, node) for name, node in nodes.items() if node is not None]


def _joined(node: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A node with further settings, also of the nodes in it."""
    inner = {key: _joined(node[key], value) for key, value in more.items() if isinstance(node.get(key), Mapping)}
    return {**node, **more, **inner}
