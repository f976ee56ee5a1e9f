"""Language models from configurations and from checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.prediction.checkpoint import fill, find_checkpoint, read_checkpoint, tokenizer_of
from multimodal_attn.runs.build import build, build_data, plain
from multimodal_attn.training.language_model import LanguageModelModule


def build_text_data(config: DictConfig, tokenizer: Tokenizer | None = None) -> DataModule:
    """A data module of the texts of any data set, without its pictures or recordings.

    Args:
        config: of the run. With ``config.vocabulary_of`` the tokenizer is that run's, and ``config.tokenizer`` becomes
            the one that it was trained with.
        tokenizer: from a checkpoint, or None.
    """
    if tokenizer is None and config.vocabulary_of is not None:
        content = read_checkpoint(find_checkpoint(Path(config.vocabulary_of)))
        theirs = OmegaConf.create(content["hyper_parameters"]["config"])
        tokenizer = tokenizer_of(theirs, content)
        config.tokenizer = theirs.tokenizer
    fitted = tokenizer is not None
    data = build_data(config, tokenizer or build(config.tokenizer), only_texts=True)
    if not fitted:
        data.fit_tokenizers()
    return data


def build_language_model(config: DictConfig, tokenizer: Tokenizer) -> LanguageModelModule:
    """The LightningModule with a freshly initialised language model."""
    try:
        model: LanguageModel = build(config.language_model)(vocab_size=len(tokenizer))
    except TypeError as error:  # the partial got a key that its part does not take
        raise ValueError(f"language_model: {error}") from None
    return LanguageModelModule(
        model,
        tokenizer,
        optimizer=build(config.optimizer),
        scheduler=build(config.scheduler) if config.scheduler else None,
        seed=config.seed,
        config=plain(config, resolve=False),
    )


def load_language_model(run: str | Path, tokenizer: Tokenizer) -> LanguageModel:
    """The language model of a run, in evaluation mode.

    Args:
        run: its folder, or a checkpoint file.
        tokenizer: of the model that it is to help.

    Raises:
        ValueError: if there is no readable checkpoint of a language model, or its tokens are not ``tokenizer``'s.
    """
    try:
        path = find_checkpoint(Path(run))
    except ValueError as error:
        raise ValueError(f"search.language_model: {str(error).removeprefix('run: ')}") from None
    content = read_checkpoint(path)
    config = OmegaConf.create(content["hyper_parameters"]["config"])
    if "language_model" not in config:
        raise ValueError(f"search.language_model: '{run}' is no language model; expected a run of one")
    own = tokenizer_of(config, content)
    if difference := _difference(own, tokenizer):
        raise ValueError(
            f"search.language_model: '{run}' has {difference}; train it with vocabulary_of=RUN, the folder of the run"
            " that it is to help"
        )
    module = build_language_model(config, own)
    fill(module, content, Path(run))
    return module.model.eval()


def _difference(own: Tokenizer, other: Tokenizer) -> str:
    """What tells two tokenizers apart; empty if they give every text the same tokens."""
    if type(own) is not type(other):
        return f"a {type(own).__name__}, the run a {type(other).__name__}"
    if len(own) != len(other):
        return f"a vocabulary of {len(own)} tokens, the run one of {len(other)}"
    pairs: list[tuple[Any, Any]] = list(zip(own.pieces(range(len(own))), other.pieces(range(len(other))), strict=True))
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    return "" if first is None else f"{pairs[first][0]!r} for token {first}, the run {pairs[first][1]!r}"
