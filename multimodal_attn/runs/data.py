"""The data of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from multimodal_attn.data.loading import build
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.parts import part


def build_data(
    config: Mapping[str, Any],
    tokenizer: Tokenizer | None = None,
    source_tokenizer: Tokenizer | None = None,
    trust: Collection[str] = (),
    only_texts: bool = False,
) -> DataModule:
    """The data module of a run, with fitted tokenizers.

    Args:
        config: of the run.
        tokenizer: of a checkpoint; None to fit a new one on the training texts.
        source_tokenizer: likewise, of sources that are texts.
        trust: packages whose classes are allowed beside this one's.
        only_texts: leave the sources out, for a language model.
    """
    fitted = tokenizer is not None
    if tokenizer is None:
        tokenizer = part("tokenizer", config["tokenizer"], Tokenizer, trust)()
        if config.get("source_tokenizer"):
            source_tokenizer = part("source_tokenizer", config["source_tokenizer"], Tokenizer, trust)()
    data = build.build_data(config["data"], tokenizer, source_tokenizer, config["seed"], trust, only_texts)
    if not fitted:
        data.fit_tokenizers()
    return data
