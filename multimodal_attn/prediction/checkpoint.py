"""Checkpoints: read, checked, and made into predictors.

A checkpoint is data from somewhere. It is read as plain containers and tensors, and of what it names only the parts
that predict are built, each of the kind that its slot wants (``parts.py``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Tokenizer
from multimodal_attn.first_line import first_line
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import checked, find, parameters, quietly
from multimodal_attn.prediction.build import build_model, build_predictor
from multimodal_attn.prediction.location import checkpoints, folder_of
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.ranges import Positive
from multimodal_attn.writing import write_file

log = logging.getLogger(__name__)

Model = TypeVar("Model", bound=nn.Module)

_PREFIX = "model."  # of the model's weights among those of the LightningModule
_DEEPEST = 20  # levels of a configuration
_SECTION = "multimodal_attn"  # of a safetensors file's metadata


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds of a predictor.

    Attributes:
        path: of the file.
        config: of the run, as plain containers.
        tokenizers: state of the tokenizer under each of its keys in ``config``.
        weights: of the LightningModule by name; those of the model begin with "model.".
        max_seconds: of the longest recording that it was trained on; None where that is not known.
    """

    path: Path
    config: dict[str, Any]
    tokenizers: dict[str, dict[str, Any]]
    weights: dict[str, Tensor]
    max_seconds: float | None = None

    @property
    def folder(self) -> Path:
        """Of the run."""
        return folder_of(self.path)

    def tokenizer(self, key: str = "tokenizer", trust: Collection[str] = ()) -> Tokenizer:
        """The tokenizer, as it was fitted."""
        kind: type[Tokenizer] = find(key, _node(self, key).get("_target_"), Tokenizer, trust)  # type: ignore
        try:
            state = self.tokenizers[key]
            for name, argument in parameters(kind).items():
                checked(f"{key}.{name}", state[name], argument.annotation)
            found = kind.from_state(state)
            pieces = found.pieces(range(len(found)))
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        except Exception as error:  # of a stranger's, or sentencepiece's own
            raise ValueError(f"{self.path}: {key}: {error!r}; expected what this {key} saves of itself") from None
        words = pieces[len(SPECIAL_PIECES) :]
        if not all(isinstance(word, str) and word for word in words) or len(set(words)) < len(words):
            raise ValueError(
                f"{self.path}: {key}: its words are not all texts, each once; expected those of a vocabulary"
            )
        return found

    def source_tokenizer(self, trust: Collection[str] = ()) -> Tokenizer | None:
        """None for a run whose sources are no texts."""
        return self.tokenizer("source_tokenizer", trust) if "source_tokenizer" in self.tokenizers else None


def read_run(run: str | Path, prefer: str = "best", key: str = "run") -> Checkpoint:
    """The checkpoint of a run's folder, or the file ``run`` itself; another of the folder where it is damaged.

    Args:
        run: folder or file.
        prefer: "best" or "last".
        key: names the setting in errors.

    Raises:
        ValueError: if there is none that is readable.
    """
    damaged = None
    for path in checkpoints(run, prefer, key):
        try:
            found = read_checkpoint(path)
        except ValueError as error:
            damaged = damaged or error
            continue
        if damaged is not None:
            log.warning("%s; %s is taken in its place", damaged, path)
        return found
    assert damaged is not None
    raise damaged


def read_checkpoint(path: str | Path) -> Checkpoint:
    """What a ``.ckpt`` or ``.safetensors`` file holds of a predictor; nothing in it is executed.

    Raises:
        ValueError: if it is not readable, or not of this package.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "pt") as file:
                content = json.loads(file.metadata()[_SECTION])
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
            content, weights = loaded["hyper_parameters"], loaded["state_dict"]
        config = content["config"]
        tokenizers = {key: content[key] for key in ("tokenizer", "source_tokenizer") if key in content}
        if not isinstance(config, dict) or not isinstance(weights, dict) or "tokenizer" not in tokenizers:
            raise TypeError("it has no configuration, tokenizer or weights")
        _refuse_odd(config, _DEEPEST)
        longest = checked("max_seconds", content.get("max_seconds"), Positive | None)
    except Exception as error:  # a torn file raises whatever the unpickler stumbles over
        raise ValueError(
            f"{path} is not a readable checkpoint of this package, or is truncated: {first_line(error)}"
        ) from None
    return Checkpoint(path, config, tokenizers, {k: v for k, v in weights.items() if isinstance(v, Tensor)}, longest)


def load_predictor(checkpoint: Checkpoint, trust: Collection[str] = ()) -> Predictor:
    """Rebuilds a predictor from a checkpoint alone, in evaluation mode.

    Args:
        checkpoint: of a run.
        trust: packages whose classes are allowed beside this one's.

    Raises:
        ValueError: if it is a language model's, masked or not, names what is not allowed, or its weights fit neither
            its vocabulary nor its configuration.
    """
    if "language_model" in checkpoint.config:
        raise ValueError(
            f"run: '{checkpoint.path}' is a language model, which reads nothing; expected another run. This one"
            " writes by multimodal-attn generate, and helps a beam as search.language_model"
        )
    if "masking" in checkpoint.config:
        raise ValueError(
            f"run: '{checkpoint.path}' is a masked language model, which writes nothing; expected another run. This one"
            " fills gaps by multimodal-attn cloze, and starts the encoder of another run by init_from"
        )
    with naming_file(checkpoint):
        return _predictor(checkpoint, trust)


@contextmanager
def naming_file(checkpoint: Checkpoint) -> Iterator[None]:
    """Errors of the block name the checkpoint's file."""
    try:
        yield
    except ValueError as error:
        named = str(checkpoint.path) in str(error)
        raise ValueError(str(error) if named else f"{checkpoint.path}: {error}") from None


def _predictor(checkpoint: Checkpoint, trust: Collection[str]) -> Predictor:
    config = checkpoint.config
    for key in ("encoder", "decoder", "search", "data"):
        _node(checkpoint, key)
    name = config.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{checkpoint.path}: name: {name!r}; expected a text")
    tokenizer, source_tokenizer = checkpoint.tokenizer(trust=trust), checkpoint.source_tokenizer(trust)
    config = with_encoder_of_checkpoint(config, trust)
    head = f"{_PREFIX}ctc_head.weight" in checkpoint.weights
    vocabulary = checkpoint.weights.get(f"{_PREFIX}decoder.vocabulary.weight")
    if vocabulary is not None and len(vocabulary) != len(tokenizer):
        raise ValueError(
            f"{checkpoint.path}: its weights are for a vocabulary of {len(vocabulary)} tokens, but its tokenizer has"
            f" {len(tokenizer)}"
        )
    check_shapes(checkpoint, lambda: build_model(config, tokenizer, source_tokenizer, head, trust))
    with quietly():
        predictor = build_predictor(config, tokenizer, source_tokenizer, head, trust)
    fill(predictor.model, checkpoint)
    predictor.model.eval()
    predictor.max_seconds = checkpoint.max_seconds or predictor.max_seconds
    return predictor


def with_encoder_of_checkpoint(config: Mapping[str, Any], trust: Collection[str]) -> dict[str, Any]:
    """A configuration with an encoder that the checkpoint fills: nothing is downloaded for what has learned already."""
    node = config["encoder"]
    encoder: type[Encoder] = find("encoder", node.get("_target_"), Encoder, trust)  # type: ignore[assignment]
    return {**config, "encoder": encoder.from_checkpoint(node, trust)}


def rebuilt(make: Callable[[], Model], checkpoint: Checkpoint) -> Model:
    """A model with the weights of a checkpoint, in evaluation mode; built of shapes first, as a predictor is.

    Args:
        make: builds it with any weights.
        checkpoint: of a run.

    Raises:
        ValueError: if the checkpoint holds others than the model has.
    """
    check_shapes(checkpoint, make)
    with quietly():
        model = make()
    fill(model, checkpoint)
    return model.eval()


def fill(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Gives a model the weights of a checkpoint.

    Raises:
        ValueError: if the checkpoint holds others than the model has.
    """
    own = {name.removeprefix(_PREFIX): w for name, w in checkpoint.weights.items() if name.startswith(_PREFIX)}
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[:40])
        raise ValueError(
            f"run: the weights in '{checkpoint.path}' are not those of the model that its own configuration builds;"
            f" expected a checkpoint of this version of multimodal_attn ({reason})"
        ) from None


def check_shapes(checkpoint: Checkpoint, build: Callable[[], nn.Module]) -> None:
    """Refuses weights of other shapes than a model has, or that are no numbers.

    The model is built of shapes alone (torch's "meta" device): that of a configuration which is not the weights' may be
    of any size.

    Raises:
        ValueError: names the weight.
    """
    with quietly(), torch.device("meta"):
        model = build()
    for name, own in model.state_dict().items():
        given = checkpoint.weights.get(_PREFIX + name)
        if given is None:
            raise ValueError(f"{checkpoint.path}: it has no weight {name}; expected one of shape {tuple(own.shape)}")
        if given.shape != own.shape or given.is_floating_point() != own.is_floating_point():
            raise ValueError(
                f"{checkpoint.path}: its weight {name} is {given.dtype} of shape {tuple(given.shape)}; expected"
                f" {own.dtype} of shape {tuple(own.shape)}, as its configuration says"
            )
        if not given.isfinite().all():
            raise ValueError(f"{checkpoint.path}: its weight {name} is not finite; expected numbers")


def save_weights(checkpoint: Checkpoint, path: Path) -> None:
    """Writes what predicts, and nothing that trains, as one safetensors file that ``read_checkpoint`` reads."""
    content = {"config": checkpoint.config, **checkpoint.tokenizers, "max_seconds": checkpoint.max_seconds}
    # Clones: a matrix that reads and writes words has two names, and the file must have it twice.
    own = {name: w.contiguous().clone() for name, w in checkpoint.weights.items() if name.startswith(_PREFIX)}
    write_file(path, safetensors.torch.save(own, {_SECTION: json.dumps(content)}))


def _refuse_odd(node: Any, levels: int) -> None:
    """Refuses what a configuration cannot hold: other objects than plain ones, and bottomless containers."""
    if isinstance(node, dict | list):
        if levels == 0:
            raise TypeError("its configuration is nested too deeply")
        for item in node.items() if isinstance(node, dict) else node:
            for one in item if isinstance(item, tuple) else (item,):
                _refuse_odd(one, levels - 1)
    elif not isinstance(node, str | int | float | bool | None):
        raise TypeError(f"its configuration holds a {type(node).__name__}")


def _node(checkpoint: Checkpoint, key: str) -> Mapping[str, Any]:
    node = checkpoint.config.get(key)
    if not isinstance(node, Mapping):
        raise ValueError(f"{checkpoint.path}: its configuration has no {key}; expected a checkpoint of a run")
    return node
