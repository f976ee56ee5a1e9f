"""The data of a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from multimodal_attn.data.datasets.base import Dataset, Split
from multimodal_attn.data.loading import build
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.reading.text import NORMALIZERS, single_spaces
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.parts import checked, part
from multimodal_attn.runs.configuration import wrong_kind
from multimodal_attn.types import Modality

log = logging.getLogger(__name__)


def build_data(
    config: Mapping[str, Any],
    tokenizer: Tokenizer | None = None,
    source_tokenizer: Tokenizer | None = None,
    trust: Collection[str] = (),
    reads: Modality | None = None,
) -> DataModule:
    """The data module of a run, with fitted tokenizers.

    Args:
        config: of the run. Relative paths in ``data`` start from ``started_in``, the folder in which the run began.
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
    node, gone = _located(config["data"], checked("started_in", config.get("started_in"), str | None), trust)
    data = build.build_data(node, tokenizer, source_tokenizer, config["seed"], trust)
    if gone:
        data.make_dataset = partial(_or_both_places, gone, data.make_dataset)
    if reads is not None:
        data.make_dataset = partial(_of_modality, reads, data.make_dataset)
    if not fitted:
        data.fit_tokenizers(of_sources=not source_fitted)
    return data


def from_here(config: Mapping[str, Any], key: str, value: Any, trust: Collection[str] = ()) -> Any:
    """A value of the command line for a run that began in another folder: a relative path starts from this one.

    Args:
        config: of the run.
        key: dotted, such as ``data.val``.
        value: for it.
        trust: packages whose data sets are allowed beside this one's.
    """
    section, _, name = key.partition(".")
    if section != "data" or not isinstance(value, str):
        return value
    named = build.files_of({**config["data"], name: value}, trust)
    return str(Path(value).expanduser().absolute()) if name in named else value


def _located(
    node: Mapping[str, Any], folder: str | None, trust: Collection[str]
) -> tuple[dict[str, Any], dict[str, tuple[Path, Path]]]:
    """A data node with the relative paths of another folder; from this one where nothing lies there, which is said.

    Returns:
        The node, and for each setting whose file is in neither folder both places.
    """
    found, gone = dict(node), dict[str, tuple[Path, Path]]()
    if folder is None or Path(folder) == Path.cwd():
        return found, gone
    for name, value in build.files_of(node, trust).items():
        path = Path(value).expanduser()
        if path.is_absolute():
            continue
        there, here = Path(folder) / path, path.absolute()
        if os.path.exists(there) or not os.path.exists(here):
            found[name] = str(there)
            if not os.path.exists(there):
                gone[name] = (there, here)
        else:
            log.warning("data.%s: '%s' of the run is gone; '%s' is taken in its place", name, there, here)
    return found, gone


def _or_both_places(gone: Mapping[str, tuple[Path, Path]], make: Callable[..., Dataset], split: Split) -> Dataset:
    """A data set; where it cannot be made, what of it lies neither where the run began nor here."""
    try:
        return make(split=split)
    except ValueError as error:
        for name, (there, here) in gone.items():
            if str(there) in str(error):
                raise ValueError(
                    f"data.{name}: neither '{there}', where the run began, nor '{here}' is there; expected"
                    f" data.{name}=PATH"
                ) from error
        raise


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
