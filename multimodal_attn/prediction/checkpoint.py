"""Checkpoints: found, checked, and rebuilt into runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import find
from multimodal_attn.runs.build import build_data, build_module, check_target, plain
from multimodal_attn.training.module import Seq2SeqModule

_MISSING = object()


@dataclass
class Run:
    """A trained run, ready to decode.

    Attributes:
        folder: where it lives.
        config: as it was trained, resolved.
        module: with the checkpoint's weights, in evaluation mode.
        data: its data sets; touched only when asked for.
    """

    folder: Path
    config: DictConfig
    module: Seq2SeqModule
    data: DataModule


def find_checkpoint(run: Path, prefer: str = "best") -> Path:
    """The checkpoint file of a run's folder, or ``run`` itself if it is a file.

    Raises:
        ValueError: if there is none.
    """
    if run.is_file():
        return run
    other = "last" if prefer == "best" else "best"
    for name in (prefer, other):
        if (path := run / "checkpoints" / f"{name}.ckpt").is_file():
            return path
    raise ValueError(
        f"run: {str(run)!r} has no checkpoints/best.ckpt or last.ckpt; expected the folder of a trained run"
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["hyper_parameters"]["config"]["seed"]
        checkpoint["hyper_parameters"]["tokenizer"]
    except Exception as error:  # a torn file raises whatever the unpickler stumbles over
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{path} is not a readable checkpoint of this package, or is truncated: {reason}") from error
    return checkpoint


def tokenizer_of(config: DictConfig, checkpoint: dict[str, Any], key: str = "tokenizer") -> Tokenizer:
    name = config[key]._target_
    check_target(name)
    if not name.startswith("multimodal_attn.data.tokenizers."):
        raise ValueError(f"{key}: _target_ {name!r} is not allowed; expected one under multimodal_attn.data.tokenizers")
    tokenizer: type[Tokenizer] = hydra.utils.get_class(name)
    return tokenizer.from_state(checkpoint["hyper_parameters"][key])


def source_tokenizer_of(config: DictConfig, checkpoint: dict[str, Any]) -> Tokenizer | None:
    """None for a run whose sources are no texts."""
    return tokenizer_of(config, checkpoint, "source_tokenizer") if "source_tokenizer" in config else None


def load(run: str | Path, checkpoint: str = "best", overrides: dict[str, Any] | None = None) -> Run:
    """Rebuilds a run from its checkpoint alone.

    Args:
        run: its folder, or a checkpoint file.
        checkpoint: "best" or "last".
        overrides: values that replace those of its configuration, such as ``{"data.root": ...}``.

    Raises:
        ValueError: if there is no readable checkpoint, if its weights do not fit its vocabulary, or if it is one of a
            language model.
    """
    path = find_checkpoint(Path(run), prefer=checkpoint)
    content = read_checkpoint(path)
    config = OmegaConf.create(content["hyper_parameters"]["config"])
    if "language_model" in config:
        raise ValueError(f"run: '{run}' is a language model, which writes no text; use it as search.language_model")
    for key, value in (overrides or {}).items():
        if OmegaConf.select(config, key, default=_MISSING) is _MISSING:
            raise ValueError(f"{key}: the run has no such key; expected one of {', '.join(config[key.split('.')[0]])}")
        OmegaConf.update(config, key, value)
    tokenizer, source_tokenizer = tokenizer_of(config, content), source_tokenizer_of(config, content)
    # The checkpoint holds the weights: nothing is to be downloaded for a model that has learnt already.
    encoder = find("encoder", config.encoder._target_, Encoder)
    config.encoder = cast(type[Encoder], encoder).without_download(plain(config.encoder, resolve=False))
    module = build_module(config, tokenizer, source_tokenizer)
    rows = content["state_dict"]["model.decoder.vocabulary.weight"].shape[0]
    if rows != len(tokenizer):
        raise ValueError(
            f"{path}: its weights are for a vocabulary of {rows} tokens, but its tokenizer has {len(tokenizer)}"
        )
    fill(module, content, path)
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    return Run(folder, config, module.eval(), build_data(config, tokenizer, source_tokenizer))


def fill(module: nn.Module, content: dict[str, Any], path: Path) -> None:
    """Loads a checkpoint's weights.

    Raises:
        ValueError: if the checkpoint, read from ``path``, holds others than the module has.
    """
    try:
        module.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        reason = " ".join(str(error).split()[:40])
        raise ValueError(
            f"run: the weights in '{path}' are not those of the model that its own configuration builds; expected a"
            f" checkpoint of this version of multimodal_attn ({reason})"
        ) from None


def initialise(module: Seq2SeqModule, config: DictConfig, content: dict[str, Any]) -> None:
    """Gives a fresh module the weights of another run, and nothing else of it.

    A CTC head may be missing on either side: a new one starts afresh. The front end of speech has nothing to learn:
    it may augment in another way.

    Args:
        module: of the new run.
        config: of the new run.
        content: the other run's checkpoint.

    Raises:
        ValueError: if the two are not the same model; names the values that differ.
    """
    given, own = content["state_dict"], module.state_dict()
    unlike = {
        name
        for name in given.keys() | own.keys()
        if not name.startswith(("model.ctc_head.", "model.encoder.front_end."))
        and (name not in given or name not in own or given[name].shape != own[name].shape)
    }
    if unlike:
        other = OmegaConf.create(content["hyper_parameters"]["config"])
        parts = ("encoder", "attention", "decoder")
        there, here = ({part: _flat(side[part], part) for part in parts} for side in (other, config))
        differences = [
            f"{key}: {here[part].get(key)!r}, there {there[part].get(key)!r}"
            for part in parts
            for key in sorted(here[part].keys() | there[part].keys())
            if here[part].get(key) != there[part].get(key)
        ]
        raise ValueError(
            f"init_from: the run holds another model ({len(unlike)} weights do not fit, such as"
            f" {min(unlike).removeprefix('model.')}). Here and there differ: {'; '.join(differences) or 'nothing else'}"
        )
    fitting = {name: tensor for name, tensor in given.items() if name in own and tensor.shape == own[name].shape}
    module.load_state_dict(fitting, strict=False)


def _flat(node: Any, prefix: str) -> dict[str, Any]:
    """Values of a configuration node by their dotted keys."""
    if not isinstance(node, DictConfig):
        return {prefix: node}
    return {key: value for name in node for key, value in _flat(node[name], f"{prefix}.{name!s}").items()}
