"""Configurations to objects: the data, the model, and what trains it."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any, cast

import hydra
import torch
from omegaconf import DictConfig, OmegaConf

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.loading import build as loading
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.encoders.picture import PictureEncoder
from multimodal_attn.models.encoders.text import TextEncoder
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search import BeamSearch, Search
from multimodal_attn.search.words import whole_words
from multimodal_attn.training.module import Seq2SeqModule

# A checkpoint is data from somewhere: it may name parts of this package and of the libraries below, and nothing else.
_ALLOWED_TARGETS = (
    "multimodal_attn.data.",
    "multimodal_attn.models.",
    "multimodal_attn.search.",
    "multimodal_attn.training.",
    "multimodal_attn.evaluation.",
    "multimodal_attn.tracking.",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
)

# Settings of picture encoders that say where the body's weights come from, or what follows it.
_NOT_OF_THE_BODY = ("pretrained", "weights", "trainable_from", "dim", "dropout")

_PICTURES_AT_ONCE = 8
"""That a frozen network encodes together on a CPU: their feature maps stay near its caches, which halves the time."""


def plain(node: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """A configuration node as plain containers, with its interpolations resolved or as they are."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=resolve))


def build(node: DictConfig, **arguments: Any) -> Any:
    """Instantiates a configuration node.

    Raises:
        ValueError: if a ``_target_`` in it lies outside of the allowed packages, or an argument does not fit.
    """
    for target in _targets(plain(node)):
        check_target(target)
    try:
        return hydra.utils.instantiate(node, **arguments, _convert_="all")
    except hydra.errors.InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ValueError):
            raise cause from None
        raise ValueError(str(error)) from cause


def check_target(target: str) -> None:
    """Refuses what is not a class or function of an allowed package, by where it is defined and not by its name alone.

    Raises:
        ValueError: if it is not, or does not exist.
    """
    try:
        found = hydra.utils.get_object(target) if target.startswith(_ALLOWED_TARGETS) else None
    except Exception as error:
        raise ValueError(f"config: _target_ {target!r} does not exist ({error})") from None
    home = f"{getattr(found, '__module__', '')}."
    if found is None or not home.startswith(_ALLOWED_TARGETS) or "." in getattr(found, "__qualname__", "."):
        raise ValueError(f"config: _target_ {target!r} is not allowed; expected one under {_ALLOWED_TARGETS}")


def _targets(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [target for value in node.values() for target in _targets(value)]
    if isinstance(node, list):
        return [target for value in node for target in _targets(value)]
    return []


def build_data(
    config: DictConfig,
    tokenizer: Tokenizer | None = None,
    source_tokenizer: Tokenizer | None = None,
    only_texts: bool = False,
) -> DataModule:
    """The data module; with the tokenizers of a checkpoint, the training texts are not read."""
    fitted = tokenizer is not None
    if not fitted:
        tokenizer = build(config.tokenizer)
        source_tokenizer = build(config.source_tokenizer) if "source_tokenizer" in config else None
    assert tokenizer is not None
    data = loading.build_data(plain(config.data), tokenizer, source_tokenizer, config.seed, only_texts=only_texts)
    if not fitted:
        data.fit_tokenizers()
    return data


def build_module(config: DictConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> Seq2SeqModule:
    """The LightningModule with a freshly initialised model.

    Args:
        config: of the run.
        tokenizer: of the texts to be written.
        source_tokenizer: of sources that are texts.
    """
    # A node without a target holds an experiment's settings for an objective that the command line exchanged.
    objectives = {name: build(node) for name, node in config.objective.items() if "_target_" in node}
    if not objectives:
        raise ValueError("objective: none chosen; expected one or more, such as objective=[cross_entropy,ctc]")
    encoder = _build_encoder(config.encoder, source_tokenizer)
    try:
        model = Seq2Seq(
            encoder,
            build(config.decoder, attention=build(config.attention)),
            vocab_size=len(tokenizer),
            ctc_head=any(objective.needs_ctc_head for objective in objectives.values()),
        )
    except TypeError as error:  # a partial got a key that its part does not take
        raise ValueError(f"decoder or attention: {error}") from None
    wanted = getattr(getattr(model.decoder, "attention", None), "objective", None)
    if wanted is not None and wanted not in objectives:
        raise ValueError(
            f"objective: {', '.join(objectives)}; this attention learns where to look through {wanted} alone:"
            f" expected objective=[cross_entropy,{wanted}]"
        )
    return Seq2SeqModule(
        model,
        tokenizer,
        objectives,
        search=build_search(config.search, model, tokenizer),
        scores=build(config.metrics),
        source_tokenizer=source_tokenizer,
        optimizer=build(config.optimizer),
        scheduler=build(config.scheduler) if config.scheduler else None,
        sampling_probability=config.scheduled_sampling.probability,
        sampling_ramp=tuple(config.scheduled_sampling.ramp),
        seed=config.seed,
        # Unresolved, so that a new data.root reaches everything that refers to it.
        config=plain(config, resolve=False),
    )


def _build_encoder(node: DictConfig, source_tokenizer: Tokenizer | None) -> Encoder:
    """Encoders of texts are partial: their width at the bottom is the size of a vocabulary."""
    encoder: Encoder | partial[TextEncoder] = build(node)
    if not isinstance(encoder, partial):
        return encoder
    if source_tokenizer is None:
        raise ValueError(
            f"encoder: {encoder.func.__name__} reads texts, and there is no tokenizer for them; expected another"
            " encoder=, or tokenizer@source_tokenizer=word and data=parallel_text"
        )
    try:
        return encoder(vocab_size=len(source_tokenizer))
    except TypeError as error:  # a partial got a key that its part does not take
        raise ValueError(f"encoder: {error}") from None


def build_search(
    node: DictConfig, model: Seq2Seq, tokenizer: Tokenizer, language_model: LanguageModel | None = None
) -> Search:
    """A search with its words as tokens, refused where the model lacks what it needs.

    Args:
        node: of ``conf/search``.
        model: that it will decode with.
        tokenizer: of the model.
        language_model: what ``search.language_model`` names, loaded.

    Raises:
        ValueError: for a word that the tokenizer does not know, CTC without a CTC head, or a language model that is not
            loaded.
    """
    if node.get("ctc_weight") and model.ctc_head is None:
        raise ValueError(
            f"search.ctc_weight: {node.ctc_weight}; this model was trained without CTC: expected 0, or a run of"
            " objective=[cross_entropy,ctc]"
        )
    arguments: dict[str, Any] = {}
    if node.get("forbidden"):
        forbidden = whole_words(list(node.forbidden), tokenizer, "search.forbidden")
        arguments["forbidden"] = [sequence for sequences in forbidden for sequence in sequences]
    if node.get("forced_words"):
        if node._target_ != f"{BeamSearch.__module__}.{BeamSearch.__name__}":
            raise ValueError(f"search.forced_words: {list(node.forced_words)}; expected none, or search=beam")
        if twice := sorted(set(node.forced_words) & set(node.get("forbidden", []))):
            raise ValueError(f"search.forced_words: {', '.join(twice)} stands in search.forbidden as well")
        arguments["forced_words"] = whole_words(list(node.forced_words), tokenizer, "search.forced_words")
    if node.get("language_model") is not None:
        if language_model is None:
            # A checkpoint would otherwise need the folder of another run to be read.
            raise ValueError("search.language_model: validation in training takes none; expected null, see evaluate.py")
        arguments["language_model"] = language_model
    search: Search = build(node, **arguments)
    return search


def cache_features(config: DictConfig, data: DataModule, model: Seq2Seq, splits: tuple[Split, ...]) -> None:
    """Encodes every picture once, if the encoder is frozen and ``data.cache_dir`` is set."""
    encoder = model.encoder
    if not isinstance(encoder, PictureEncoder) or not encoder.frozen or config.data.cache_dir is None:
        return

    @torch.no_grad()
    def extract(pictures: torch.Tensor) -> torch.Tensor:
        device = encoder.mean.device
        at_once = len(pictures) if device.type == "cuda" else _PICTURES_AT_ONCE
        return torch.cat([encoder.extract(part.to(device)) for part in pictures.split(at_once)])

    for split in splits:
        data.cache_features(split, extract, body_fingerprint(config.encoder, encoder), Path(config.data.cache_dir))


def body_fingerprint(node: DictConfig, encoder: PictureEncoder) -> str:
    """Changes with everything that the output of a frozen encoder's body depends on, except the picture."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.body.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    # The weights do not tell where a network is cut, nor what it does between them.
    settings = {key: value for key, value in plain(node).items() if key not in _NOT_OF_THE_BODY}
    digest.update(json.dumps([settings, encoder.mean.tolist(), encoder.std.tolist()], sort_keys=True).encode())
    return digest.hexdigest()[:16]
