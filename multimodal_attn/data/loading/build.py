"""The data node of a configuration to a data module."""

from __future__ import annotations

import typing
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.datasets.text import Side, Texts
from multimodal_attn.data.loading.corrupted_spans import MEAN_SPAN_WORDS, CorruptedSpans
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.parts import Part, checked, find, parameters, part
from multimodal_attn.ranges import Positive, Share

_GIVEN = ("dataset", "tokenizer", "source_tokenizer", "seed")
_OF_TEXTS: dict[str, Any] = {"texts": Side | None, "corrupted_share": Share, "mean_span_words": Positive}
LOADING = (*(name for name in parameters(DataModule) if name not in _GIVEN), "cache_dir", *_OF_TEXTS)
"""Keys of a data node that say how any data are loaded, what of their texts is learned from, and where what is made of
them is kept; the others are arguments of the data set."""


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
    loading = loading_settings(node)
    dataset, make = dataset_part(node, trust), partial(_made, node, seed)
    return DataModule(lambda split: make(dataset(split=split)), tokenizer, source_tokenizer, seed=seed, **loading)


def _made(node: Mapping[str, Any], seed: int, source: Dataset) -> Dataset:
    """A data set as it is, its texts alone, or these with missing spans."""
    share, side = node.get("corrupted_share", 0.0), node.get("texts")
    if side is None:
        return source
    texts = Texts.of(source, side)
    return CorruptedSpans(texts, share, node.get("mean_span_words", MEAN_SPAN_WORDS), seed) if share else texts


def loading_settings(node: Mapping[str, Any]) -> dict[str, Any]:
    """What of a node says how data are loaded, checked.

    Raises:
        ValueError: names the key and what was expected.
    """
    arguments = parameters(DataModule)
    given = [key for key in LOADING if key in arguments and key in node]
    checked("data.cache_dir", node.get("cache_dir"), str | None)
    for key in node.keys() & _OF_TEXTS.keys():
        checked(f"data.{key}", node[key], _OF_TEXTS[key])
    if node.get("corrupted_share") and node.get("texts") is None:
        raise ValueError(
            f"data.corrupted_share: {node['corrupted_share']:g} of which texts? expected 0, or data.texts=source,"
            " target or all"
        )
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


def files_of(node: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, str]:
    """The settings of a node that name a file or a folder, by their annotations; not where caches lie.

    Raises:
        ValueError: if its class is not allowed.
    """
    known = {**parameters(DataModule), **parameters(find("data", node.get("_target_"), Dataset, trust))}
    named = [name for name, one in known.items() if Path in typing.get_args(one.annotation) and name != "cache_dir"]
    return {name: node[name] for name in named if isinstance(node.get(name), str)}
