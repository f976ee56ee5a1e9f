"""Any data configuration as tar shards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from multimodal_attn.data.datasets.base import SPLITS, Dataset, Split
from multimodal_attn.data.datasets.shards import INDEX, VERSION, Shards, check_file, read_index
from multimodal_attn.data.loading.build import dataset_part
from multimodal_attn.data.loading.sharding import check_source, write_split
from multimodal_attn.data.reading.files import write_skipped
from multimodal_attn.optional_packages import require_packages
from multimodal_attn.parts import EVERYTHING, checked
from multimodal_attn.ranges import Positive
from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.types import UnreadableError
from multimodal_attn.writing import write_file


def shards(
    overrides: list[str], output: Path | None, verify: Path | None, splits: Sequence[str], shard_megabytes: float
) -> int:
    """Writes shards, or compares those in a folder with their checksums; prints what became of it.

    Args:
        overrides: of ``train.py``, such as ``data=flickr8k``.
        output: folder to write.
        verify: folder to compare, in place of writing one.
        splits: to write.
        shard_megabytes: about the size of a tar.

    Returns:
        The exit status.
    """
    if verify is not None:
        print(f"{verify}: {verify_shards(verify)} files are as they were written")
        return 0
    assert output is not None, "the command line has one of the two"
    if unknown := [split for split in splits if split not in SPLITS]:
        raise ValueError(f"--splits: {unknown[0]!r}; expected some of {','.join(SPLITS)}")
    index, skipped = write_shards(overrides, output, cast(Sequence[Split], splits), shard_megabytes)
    for split, content in index["splits"].items():
        seconds = f", {content['seconds'] / 3600:.2f} hours" if "seconds" in content else ""
        print(f"{split}: {content['examples']} examples{seconds} in {len(content['shards'])} shards")
    if skipped:
        print(f"{len(skipped)} could not be used; {output / 'skipped.txt'} lists them", file=sys.stderr)
    return 0


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
    require_packages("shards", "shards", "webdataset")
    checked("--shard-megabytes", shard_megabytes, Positive)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--output: '{out}' has something in it; expected a new or an empty folder")
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
    write_skipped(out / "skipped.txt", skipped)
    write_file(out / INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")
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
        found = dataset_part(plain(compose("train", overrides).data), EVERYTHING)
        if found.make is Shards:
            raise ValueError("data: shards; expected the data set that they were written from")
        if (fit := found.settings.get("fit", "squash")) != "squash":
            raise ValueError(
                f"data.fit: '{fit}'; expected squash: shards hold whole photos, and data.fit says what is made of them"
                " when they are read"
            )
        return found(split=split)
    except ValueError as error:
        raise ValueError(f"{error} (of the {split} split; --splits names those to write)") from None
