"""The data node of a configuration to a data module."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.parts import Part, checked, parameters, part

_GIVEN = ("dataset", "tokenizer", "source_tokenizer", "seed")
LOADING = tuple(name for name in parameters(DataModule) if name not in _GIVEN)
"""Keys of a data node that say how any data are loaded; the others are arguments of the data set."""


def build_data(
    node: Mapping[str, Any],
    tokenizer: Tokenizer,
    source_tokenizer: Tokenizer | None = None,
    seed: int = 0,
    trust: Collection[str] = (),
) -> DataModule:
    """The data module that a node of ``conf/data`` describes; nothing is read yet.

    Args:
        node: plain containers; ``_target_`` names the class of the data set.
        tokenizer: of the texts to be written.
        source_tokenizer: of sources that are texts.
        seed: of shuffling and drawing.
        trust: packages whose data sets are allowed beside this one's.

    Raises:
        ValueError: names the key and what was expected.
    """
    arguments = parameters(DataModule)
    loading = {key: checked(f"data.{key}", node[key], arguments[key].annotation) for key in LOADING if key in node}
    return DataModule(dataset_part(node, trust), tokenizer, source_tokenizer, seed=seed, **loading)


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
