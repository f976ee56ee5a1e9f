"""Language models from configurations and from checkpoints."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.parts import EVERYTHING, checked, part
from multimodal_attn.prediction.checkpoint import Checkpoint, naming_file, read_run, rebuilt
from multimodal_attn.prediction.writer import Writer
from multimodal_attn.ranges import Seed
from multimodal_attn.runs.build import build_optimization
from multimodal_attn.runs.data import build_data, normalizer_of
from multimodal_attn.training.language_model import LanguageModelModule


def build_text_data(
    config: dict[str, Any], tokenizer: Tokenizer | None = None, trust: Collection[str] = EVERYTHING
) -> DataModule:
    """A data module of the texts of any data set (``data.texts``), without its pictures or recordings.

    Args:
        config: of the run. With ``vocabulary_of`` the tokenizer is that run's, and ``tokenizer`` becomes the one that
            it was trained with.
        tokenizer: from a checkpoint, or None.
        trust: packages whose data sets are allowed beside this one's.
    """
    if tokenizer is None and config.get("vocabulary_of") is not None:
        content = read_run(config["vocabulary_of"], key="vocabulary_of")
        tokenizer = content.tokenizer(trust=EVERYTHING)
        config["tokenizer"] = content.config["tokenizer"]
    return build_data({**config, "source_tokenizer": None}, tokenizer, trust=trust)


def build_language_model(config: dict[str, Any], tokenizer: Tokenizer) -> LanguageModelModule:
    """The LightningModule with a freshly initialized language model."""
    return LanguageModelModule(
        make_language_model(config["language_model"], tokenizer, EVERYTHING),
        tokenizer,
        **build_optimization(config),
        seed=checked("seed", config["seed"], Seed),
        config=config,
    )


def make_language_model(node: Any, tokenizer: Tokenizer, trust: Collection[str]) -> LanguageModel:
    """A freshly initialized language model, of a tokenizer's tokens."""
    made = part("language_model", node, LanguageModel, trust, given=("vocab_size",))
    return made(vocab_size=len(tokenizer))


def load_language_model(run: str | Path, tokenizer: Tokenizer, trust: Collection[str] = ()) -> LanguageModel:
    """The language model of a run, in evaluation mode.

    Args:
        run: its folder, or a checkpoint file.
        tokenizer: of the model that it is to help.
        trust: packages whose classes the checkpoint may name.

    Raises:
        ValueError: if there is no readable checkpoint of a language model, or its tokens are not ``tokenizer``'s.
    """
    own = load_writer(run, trust, key="search.language_model")
    if difference := _difference(own.tokenizer, tokenizer):
        raise ValueError(
            f"search.language_model: '{run}' has {difference}; train it with vocabulary_of=RUN, the folder of the run"
            " that it is to help"
        )
    return own.model


def load_writer(run: str | Path, trust: Collection[str] = (), key: str = "run") -> Writer:
    """A language model with its tokenizer, in evaluation mode.

    Args:
        run: its folder, or a checkpoint file.
        trust: packages whose classes the checkpoint may name.
        key: names the setting in errors.

    Raises:
        ValueError: if there is no readable checkpoint of a language model.
    """
    content = read_run(run, key=key)
    if "language_model" not in content.config:
        raise ValueError(f"{key}: '{run}' is no language model; expected a run of one")
    return writer_of(content, trust)


def writer_of(content: Checkpoint, trust: Collection[str] = ()) -> Writer:
    """The same from a language model's checkpoint that has been read."""
    with naming_file(content):
        tokenizer = content.tokenizer(trust=trust)
        model = rebuilt(lambda: make_language_model(content.config["language_model"], tokenizer, trust), content)
    return Writer(model, tokenizer, str(content.config.get("name", "")), normalizer_of(content.config))


def _difference(own: Tokenizer, other: Tokenizer) -> str:
    """What tells two tokenizers apart; empty if they give every text the same tokens."""
    if type(own) is not type(other):
        return f"a {type(own).__name__}, the run a {type(other).__name__}"
    if len(own) != len(other):
        return f"a vocabulary of {len(own)} tokens, the run one of {len(other)}"
    pairs: list[tuple[Any, Any]] = list(zip(own.pieces(range(len(own))), other.pieces(range(len(other))), strict=True))
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    return "" if first is None else f"{pairs[first][0]!r} for token {first}, the run {pairs[first][1]!r}"
