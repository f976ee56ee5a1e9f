"""Examples in tar files, each found by its place: as few large files as one likes in place of many small ones."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry, Split
from multimodal_attn.data.datasets.photos import in_frame
from multimodal_attn.data.modalities import READERS, reader_of
from multimodal_attn.data.reading.files import checksum
from multimodal_attn.data.reading.images import Fit
from multimodal_attn.ranges import ImageSize, SampleRate
from multimodal_attn.types import Box, Span, Target, UnreadableError

INDEX = "index.json"
VERSION = 2  # of the folder's layout
PLACES = np.dtype(
    [("shard", "<u4"), ("crc32", "<u4"), ("offset", "<u8"), ("size", "<u8"), ("record", "<u8"), ("length", "<f8")]
)
"""Of an example: number of its tar, checksum, place and size of its picture or recording there, place of its line in
SPLIT.jsonl, and its length as the source data set gave it."""
WRITTEN_BY = "a folder that `python -m multimodal_attn shards` has written to its end"


class Shards(Dataset):
    """A split of a folder of shards, with any example as near as any other.

    Layout of the folder: ``index.json`` (modality, splits, their files with sizes and checksums), and for each split
    ``SPLIT-00000.tar`` ... (WebDataset's form: NUMBER.jpg or the like beside NUMBER.json), ``SPLIT.jsonl`` (the same
    records, a line each, so that texts are at hand without the tars) and ``SPLIT.places`` (``PLACES``, mapped).

    Nothing of the examples stays in memory. That a tar is there and whole is checked by its size, the two lists by
    their checksums, and each picture or recording by its own when it is read.

    Args:
        split: one of those that were written.
        root: the folder.
        image_size: side in pixels of the pictures.
        fit: how a picture becomes square, "squash", "crop" or "pad"; see ``read_image``. Boxes follow.
        sample_rate: in Hz, that recordings are resampled to.

    Attributes:
        skipped: empty: what could not be used was left out when the shards were written.

    Raises:
        ValueError: if the split, the index or a file of it is missing, cut off or damaged.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        image_size: ImageSize = 224,
        fit: Fit = "squash",
        sample_rate: SampleRate = 16_000,
    ) -> None:
        self.root, self.image_size, self.fit = Path(root).expanduser(), image_size, fit
        index = read_index(self.root)
        if split not in index["splits"]:
            raise ValueError(f"split: {split}; '{self.root / INDEX}' has {', '.join(index['splits'])}")
        content = index["splits"][split]
        for file in content["shards"]:
            check_file(self.root, file)
        for file in content["lists"]:
            check_file(self.root, file, by_checksum=True)
        self._shards = [(self.root / file["file"], file["sha256"]) for file in content["shards"]]
        self._records, places = (self.root / file["file"] for file in content["lists"])
        self._places = np.memmap(places, PLACES, mode="r")
        settings = {"image_size": image_size, "fit": fit, "sample_rate": sample_rate}
        entries = _Entries(self._records, self._places, fit == "crop")
        super().__init__(reader_of(index["modality"], settings), entries)

    def fingerprint(self, index: int) -> str:
        """Changes with the contents of the shard, not with its folder, and with what is made of a picture here."""
        place = self._places[index]
        return f"{self._shards[place['shard']][1]}:{place['offset']}:{self.image_size}:{self.fit}"

    def lengths(self) -> list[float]:
        lengths: list[float] = self._places["length"].tolist()
        return lengths

    def read(self, index: int) -> Tensor | str:
        """The source, from one read of a tar.

        Raises:
            UnreadableError: if it differs from its checksum, or cannot be decoded.
        """
        if not self.reader.in_files:
            return ""
        place = self._places[index]
        try:
            with self._shards[place["shard"]][0].open("rb") as file:
                file.seek(int(place["offset"]))
                member = _Member(file.read(int(place["size"])), partial(self._name, index))
        except OSError as error:
            raise UnreadableError(self._name(index), f"cannot be read ({error.strerror})") from error
        if zlib.crc32(member.getbuffer()) != place["crc32"]:
            raise UnreadableError(member.name, "differs from its checksum")
        return self.reader.read(member)

    def _name(self, index: int) -> str:
        """What errors call an example: its tar and its key."""
        return f"{self._shards[self._places[index]['shard']][0]}:{self.entries[index].key}"

    def texts(self) -> list[str]:
        with self._records.open(encoding="utf-8") as lines:
            return [target["text"] for line in lines for target in json.loads(line)["targets"]]


class _Entries(Sequence[Entry]):
    """The lines of SPLIT.jsonl, each read when it is asked for, and all of them in one go.

    Args:
        records: the file.
        places: where its lines begin.
        cropped: boxes are moved into the photo's central square.
    """

    def __init__(self, records: Path, places: np.ndarray, cropped: bool) -> None:
        self._records, self._places, self._cropped = records, places, cropped

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Entry:  # type: ignore[override]  # nobody asks for slices
        with self._records.open("rb") as file:
            file.seek(int(self._places[index]["record"]))
            return self._entry(file.readline(), index)

    def __iter__(self) -> Iterator[Entry]:
        with self._records.open("rb") as file:
            for index, line in enumerate(file):
                yield self._entry(line, index)

    def _entry(self, line: bytes, index: int) -> Entry:
        record = json.loads(line)
        targets = []
        for target in record["targets"]:
            boxes = {int(word): tuple(Box(*box) for box in found) for word, found in target.get("boxes", {}).items()}
            if boxes and self._cropped:  # a photo of unknown sides has no square, and cannot be decoded either
                boxes = in_frame(boxes, Box(*record["square"])) if "square" in record else {}
            targets.append(Target(target["text"], boxes, tuple(Span(*span) for span in target.get("times", ()))))
        return Entry(record["key"], tuple(targets), float(self._places[index]["length"]))


class _Member(io.BytesIO):
    """A file's content that errors call by its name, which is looked up then."""

    def __init__(self, content: bytes, name: Callable[[], str]) -> None:
        super().__init__(content)
        self._name = name

    @property
    def name(self) -> str:
        return self._name()

    def __repr__(self) -> str:
        return self.name


def read_index(root: Path) -> dict[str, Any]:
    """What ``index.json`` says.

    Raises:
        ValueError: if it is missing, or not what was written there.
    """
    path = root / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        files = [file for split in index["splits"].values() for file in (*split["lists"], *split["shards"])]
        known = index["version"] == VERSION and index["modality"] in READERS
        if not known or not all({"file", "bytes", "sha256"} <= file.keys() for file in files):
            raise ValueError(f"expected version {VERSION} and the bytes and sha256 of every file")
    except FileNotFoundError:
        raise ValueError(f"data.root: '{path}' is missing; expected {WRITTEN_BY}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"data.root: '{path}' is no index of shards ({reason}); expected {WRITTEN_BY}") from error
    content: dict[str, Any] = index
    return content


def check_file(root: Path, expected: dict[str, Any], by_checksum: bool = False) -> None:
    """Raises a ValueError unless a file is as long as the index says and, if asked for, has the index's checksum."""
    path = root / expected["file"]
    if not path.is_file():
        raise ValueError(f"data.root: '{path}' is missing; '{INDEX}' expects it with {expected['bytes']:,} bytes")
    if (size := path.stat().st_size) != expected["bytes"]:
        raise ValueError(f"data.root: '{path}' has {size:,} bytes; '{INDEX}' expects {expected['bytes']:,}")
    if by_checksum and checksum(path) != expected["sha256"]:
        raise ValueError(f"data.root: '{path}' is damaged: it differs from the sha256 in '{INDEX}'")
