"""The data node of a configuration to a data module."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from multimodal_attn.data.datasets.base import Dataset, Split
from multimodal_attn.data.datasets.text import Texts
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.parts import Part, checked, parameters, part

_GIVEN = ("dataset", "tokenizer", "source_tokenizer", "seed")
LOADING = (*(name for name in parameters(DataModule) if name not in _GIVEN), "cache_dir")
"""Keys of a data node that say how any data are loaded, and where what is made of them is kept; the others are
arguments of the data set."""


def build_data(
    node: Mapping[str, Any],
    tokenizer: Tokenizer,
    source_tokenizer: Tokenizer | None = None,
    seed: int = 0,
    trust: Collection[str] = (),
    only_texts: bool = False,
) -> DataModule:
    """The data module that a node of ``conf/data`` describes; nothing is read yet.

    Args:
        node: plain containers; ``_target_`` names the class of the data set.
        tokenizer: of the texts to be written.
        source_tokenizer: of sources that are texts.
        seed: of shuffling and drawing.
        trust: packages whose data sets are allowed beside this one's.
        only_texts: leave out what there is to read, for a language model.

    Raises:
        ValueError: names the key and what was expected.
    """
    loading = loading_settings(node)
    dataset = dataset_part(node, trust)

    def texts_of(split: Split) -> Texts:
        source = dataset(split=split)
        return Texts(source.texts(), source.skipped)

    return DataModule(texts_of if only_texts else dataset, tokenizer, source_tokenizer, seed=seed, **loading)


def loading_settings(node: Mapping[str, Any]) -> dict[str, Any]:
    """What of a node says how data are loaded, checked.

    Raises:
        ValueError: names the key and what was expected.
    """
    arguments = parameters(DataModule)
    given = [key for key in LOADING if key in arguments and key in node]
    checked("data.cache_dir", node.get("cache_dir"), str | None)
    return {key: checked(f"data.{key}", node[key], arguments[key].annotation) for key in given}


def dataset_part(node: Mapping[str, Any], trust: Collection[str] = ()) -> Part[Dataset]:
    """The data set of a node, to be called with ``split``.

    Raises:
        ValueError: names the key and what was expected.
    """
    if missing := [key for key, value in node.items() if value == "???"]:
        raise ValueError(f"data.{missing[0]}: missing; expected a value, such as data.{missing[0]}=...")
    own = {key: value for key, value in node.items() if key not in LOADING}
    found = part("data", own, Dataset, trust, given=("split",))
    shared = {key: node[key] for key in LOADING if key in node and found.takes(key)}  # such as cache_dir
    return replace(found, settings={**found.settings, **shared})
