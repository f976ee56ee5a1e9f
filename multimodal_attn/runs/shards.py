"""Any data configuration as tar shards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from multimodal_attn.data.datasets.base import SPLITS, Dataset, Split
from multimodal_attn.data.datasets.shards import INDEX, VERSION, Shards, check_file, read_index
from multimodal_attn.data.loading.build import dataset_part
from multimodal_attn.data.loading.sharding import check_source, check_writer, write_split
from multimodal_attn.runs.build import plain
from multimodal_attn.types import UnreadableError

CONF = Path(__file__).parents[2] / "conf"


def write_shards(
    overrides: list[str], out: Path, splits: Iterable[Split] = SPLITS, shard_megabytes: float = 256
) -> tuple[dict[str, Any], list[UnreadableError]]:
    """Writes splits of a data set into a folder of shards.

    The index is written last: without it, a folder is refused.

    Args:
        overrides: of ``train.py``, such as ``data=flickr8k``.
        out: a new or an empty folder.
        splits: to write.
        shard_megabytes: about the size of a tar.

    Returns:
        The index, and what could not be used.

    Raises:
        ValueError: if the configuration is wrong, the data cannot be read, or the folder has something in it.
    """
    check_writer()
    if shard_megabytes <= 0:
        raise ValueError(f"--shard-megabytes: {shard_megabytes:g}; expected more than 0")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out: '{out}' has something in it; expected a new or an empty folder")
    index: dict[str, Any] = {"version": VERSION, "modality": "", "data": overrides, "splits": {}}
    skipped: list[UnreadableError] = []
    sources = {split: _source(overrides, split) for split in splits}  # a wrong one before anything is written
    for source in sources.values():
        check_source(source)
    out.mkdir(parents=True, exist_ok=True)
    for split, source in sources.items():
        modality = source.reader.modality
        if index["modality"] not in ("", modality):
            raise ValueError(f"data: the {split} split is of {modality}, the others are of {index['modality']}")
        index["modality"] = modality
        content, unreadable = write_split(source, split, out, round(shard_megabytes * 1e6))
        index["splits"][split] = content
        skipped += source.skipped + unreadable
    (out / "skipped.txt").write_text("".join(f"{error.path}\t{error.reason}\n" for error in skipped))
    (out / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return index, skipped


def verify_shards(root: Path) -> int:
    """Compares every file with its checksum; returns their number.

    Raises:
        ValueError: names the first that is missing, cut off or damaged.
    """
    files = [file for split in read_index(root)["splits"].values() for file in (*split["lists"], *split["shards"])]
    for file in files:
        check_file(root, file, by_checksum=True)
    return len(files)


def _source(overrides: list[str], split: Split) -> Dataset:
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            config = hydra.compose("train", overrides)
        found = dataset_part(plain(config.data))
        if found.make is Shards:
            raise ValueError("data: shards; expected the data set that they were written from")
        if (fit := found.settings.get("fit", "squash")) != "squash":
            raise ValueError(
                f"data.fit: '{fit}'; expected squash: shards hold whole photos, and data.fit says what is made of them"
                " when they are read"
            )
        return found(split=split)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(str(error).strip()) from None
    except ValueError as error:
        raise ValueError(f"{error} (of the {split} split; --splits names those to write)") from None
