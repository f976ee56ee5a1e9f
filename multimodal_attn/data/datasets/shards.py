"""Examples in tar files, each found by its place: a few large files in place of many small ones."""

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
from multimodal_attn.data.reading.json_files import read_json
from multimodal_attn.data.reading.pixels import Fit
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
        self._places = _read_places(places, self._records, content["shards"])
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
            for index, line in zip(range(len(self)), file, strict=False):
                yield self._entry(line, index)

    def _entry(self, line: bytes, index: int) -> Entry:
        try:
            record = json.loads(line)
            targets = tuple(self._target(target, record) for target in record["targets"])
            if not all(isinstance(text, str) for text in (record["key"], *(target.text for target in targets))):
                raise TypeError("no text")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"is no record of an example ({type(error).__name__}: {error}); expected {WRITTEN_BY}"
            raise UnreadableError(f"{self._records}:{index + 1}", reason) from None
        return Entry(record["key"], targets, float(self._places[index]["length"]))

    def _target(self, target: dict[str, Any], record: dict[str, Any]) -> Target:
        boxes = {int(word): tuple(Box(*box) for box in found) for word, found in target.get("boxes", {}).items()}
        if boxes and self._cropped:  # a photo of unknown sides has no square, and cannot be decoded either
            boxes = in_frame(boxes, Box(*record["square"])) if "square" in record else {}
        return Target(target["text"], boxes, tuple(Span(*span) for span in target.get("times", ())))


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
    if not path.is_file():
        raise ValueError(f"data.root: '{path}' is missing; expected {WRITTEN_BY}")
    index = read_json(path, "data.root", WRITTEN_BY)
    try:
        splits = index["splits"].values()
        files = [file for split in splits for file in (*split["lists"], *split["shards"])]
        known = index["version"] == VERSION and index["modality"] in READERS
        if not known or not all(len(split["lists"]) == 2 for split in splits) or not all(map(_is_file, files)):
            raise ValueError(f"expected version {VERSION} and the name, bytes and sha256 of every file")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"data.root: '{path}' is no index of shards ({reason}); expected {WRITTEN_BY}") from error
    content: dict[str, Any] = index
    return content


def _is_file(file: dict[str, Any]) -> bool:
    """Whether the index says enough of a file, and that it lies in the folder itself."""
    name, size = file["file"], file["bytes"]
    here = isinstance(name, str) and name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name)
    return here and type(size) is int and size >= 0 and isinstance(file["sha256"], str)


def _read_places(path: Path, records: Path, shards: Sequence[dict[str, Any]]) -> np.ndarray:
    """The places of all examples, mapped; none of them points beyond the end of a file."""
    size = path.stat().st_size
    if size == 0 or size % PLACES.itemsize:
        raise ValueError(f"data.root: '{path}' has {size:,} bytes; expected a multiple of {PLACES.itemsize} above 0")
    places = np.memmap(path, PLACES, mode="r")
    sizes = np.array([shard["bytes"] for shard in shards] or [0], dtype=np.uint64)
    inside = places["shard"] < len(shards)
    room = sizes[np.minimum(places["shard"], len(sizes) - 1)]
    inside &= (places["offset"] <= room) & (places["size"] <= room - np.minimum(places["offset"], room))
    inside &= (places["record"] < records.stat().st_size) & np.isfinite(places["length"]) & (places["length"] >= 0)
    if not inside.all():
        number = int((~inside).argmax())
        raise ValueError(f"data.root: '{path}': example {number} lies beyond the end of a file; expected {WRITTEN_BY}")
    return places


def check_file(root: Path, expected: dict[str, Any], by_checksum: bool = False) -> None:
    """Raises a ValueError unless a file is as long as the index says and, if asked for, has the index's checksum."""
    path = root / expected["file"]
    if not path.is_file() or path.resolve().parent != root.resolve():  # a link that leads elsewhere is none of ours
        raise ValueError(f"data.root: '{path}' is missing; '{INDEX}' expects it with {expected['bytes']:,} bytes")
    if (size := path.stat().st_size) != expected["bytes"]:
        raise ValueError(f"data.root: '{path}' has {size:,} bytes; '{INDEX}' expects {expected['bytes']:,}")
    if by_checksum and checksum(path) != expected["sha256"]:
        raise ValueError(f"data.root: '{path}' is damaged: it differs from the sha256 in '{INDEX}'")
