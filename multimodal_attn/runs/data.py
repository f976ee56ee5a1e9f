"""The data of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from multimodal_attn.data.datasets.base import Dataset, Split
from multimodal_attn.data.loading import build
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.reading.text import NORMALIZERS, single_spaces
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.parts import part
from multimodal_attn.runs.configuration import wrong_kind
from multimodal_attn.types import Modality


def build_data(
    config: Mapping[str, Any],
    tokenizer: Tokenizer | None = None,
    source_tokenizer: Tokenizer | None = None,
    trust: Collection[str] = (),
    reads: Modality | None = None,
) -> DataModule:
    """The data module of a run, with fitted tokenizers.

    Args:
        config: of the run.
        tokenizer: of a checkpoint; None to fit a new one on the training texts.
        source_tokenizer: likewise, of sources that are texts; may be given alone.
        trust: packages whose classes are allowed beside this one's.
        reads: what the encoder reads; None for anything.

    Raises:
        ValueError: also if the data are of another modality.
    """
    fitted, source_fitted = tokenizer is not None, source_tokenizer is not None
    if tokenizer is None:
        tokenizer = part("tokenizer", config["tokenizer"], Tokenizer, trust)()
        if config.get("source_tokenizer") and source_tokenizer is None:
            source_tokenizer = part("source_tokenizer", config["source_tokenizer"], Tokenizer, trust)()
    data = build.build_data(config["data"], tokenizer, source_tokenizer, config["seed"], trust)
    if reads is not None:
        data.make_dataset = partial(_of_modality, reads, data.make_dataset)
    if not fitted:
        data.fit_tokenizers(of_sources=not source_fitted)
    return data


def normalizer_of(config: Mapping[str, Any]) -> Callable[[str], str]:
    """How a run that learns from texts alone has had them normalized; not at all where its data set does not say.

    Args:
        config: of the run.
    """
    data = config["data"]
    of_sources = data.get("texts") == "source" and "source_normalize" in data
    named = {str(name): normalize for name, normalize in NORMALIZERS.items()}
    return named.get(str(data.get("source_normalize" if of_sources else "normalize")), single_spaces)


def _of_modality(reads: Modality, make: Callable[..., Dataset], split: Split) -> Dataset:
    """A data set, unless it is of pictures for an encoder of speech and the like."""
    source = make(split=split)
    if source.reader.modality != reads:
        raise wrong_kind(source.reader.modality, reads)
    return source
