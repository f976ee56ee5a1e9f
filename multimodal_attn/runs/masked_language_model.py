"""Masked language models from configurations and from checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from multimodal_attn.data.loading.word_masking import WordMasking
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.evaluation.cloze import Cloze
from multimodal_attn.inspection.show import NotebookView
from multimodal_attn.models.encoders.text.base import TextEncoder
from multimodal_attn.models.masked_language_model import MaskedLanguageModel
from multimodal_attn.parts import EVERYTHING, checked, part
from multimodal_attn.prediction.checkpoint import Checkpoint, read_run, rebuilt
from multimodal_attn.ranges import Seed
from multimodal_attn.runs.build import build_optimization
from multimodal_attn.runs.data import normalizer_of
from multimodal_attn.training.masked_language_model import MaskedLanguageModelModule


def build_masked_language_model(config: dict[str, Any], tokenizer: Tokenizer) -> MaskedLanguageModelModule:
    """The LightningModule with a freshly initialized model."""
    return MaskedLanguageModelModule(
        make_masked_language_model(config["encoder"], tokenizer, EVERYTHING),
        tokenizer,
        build_masking(config["masking"]),
        **build_optimization(config),
        seed=checked("seed", config["seed"], Seed),
        config=config,
    )


def build_masking(node: Any) -> WordMasking:
    """What hides words, which has no choice of classes."""
    if not isinstance(node, Mapping):
        raise ValueError(f"masking: {node!r}; expected settings such as masking.share=0.15")
    target = {"_target_": f"{WordMasking.__module__}.{WordMasking.__qualname__}"}
    return part("masking", {**target, **node}, WordMasking)()


def make_masked_language_model(node: Any, tokenizer: Tokenizer, trust: Collection[str]) -> MaskedLanguageModel:
    """A freshly initialized model around the encoder of a node, of a tokenizer's tokens."""
    encoder = part("encoder", node, TextEncoder, trust, given=("vocab_size",))
    return MaskedLanguageModel(encoder(vocab_size=len(tokenizer)), len(tokenizer))


def load_cloze(run: str | Path, checkpoint: str = "best", trust: Collection[str] = ()) -> Cloze:
    """What fills gaps in texts, from a run of ``experiment=masked_language_model``, in evaluation mode.

    Args:
        run: its folder, or a checkpoint file.
        checkpoint: "best" or "last" of the folder.
        trust: packages whose classes the checkpoint may name.

    Raises:
        ValueError: if there is no readable checkpoint of a masked language model.
    """
    return cloze_of(read_run(run, checkpoint), trust)


def cloze_of(content: Checkpoint, trust: Collection[str] = ()) -> Cloze:
    """The same from a checkpoint that has been read."""
    if "masking" not in content.config:
        raise ValueError(
            f"run: '{content.path}' is no masked language model; expected a run of experiment=masked_language_model"
        )
    tokenizer = content.tokenizer(trust=trust)
    model = rebuilt(lambda: make_masked_language_model(content.config.get("encoder"), tokenizer, trust), content)
    return Cloze(model, tokenizer, str(content.config.get("name", "")), NotebookView(), normalizer_of(content.config))
