"""Keeps the output of a frozen encoder on disk, so that each picture passes through it once and not once an epoch."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from rich.progress import Progress
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.reading.cache import mark_used
from multimodal_attn.data.reading.files import digest
from multimodal_attn.data.reading.json_files import read_json
from multimodal_attn.parts import checked
from multimodal_attn.ranges import Counts
from multimodal_attn.types import UnreadableError

_DIGEST_BYTES = 16
_LARGEST_ROW = 1 << 26  # numbers
_EXPECTED = "a cache of features as it was written; the folder may be deleted"


class FeatureCache:
    """Rows of float16 features on disk, found by key, for one encoder.

    A folder for each fingerprint holds ``features.f16`` (the rows), ``index`` (a digest of each row's key, in the same
    order) and ``info.json``. Rows are only ever appended, and a row is entered in the index after its data has reached
    the disk: whatever an interrupted writer leaves behind is overwritten by the next one. Writers take a lock for each
    append, so any number of processes may fill a cache together. A row whose picture has changed stays as dead weight;
    the folder may be deleted whenever no run uses it.

    Args:
        cache_dir: folder of all caches.
        fingerprint: everything that the features depend on, except the picture: encoder, weights, transform.
    """

    def __init__(self, cache_dir: str | Path, fingerprint: str) -> None:
        self.folder = Path(cache_dir).expanduser().absolute() / digest(fingerprint).hex()[:24]
        self.fingerprint = fingerprint
        self._shape: tuple[int, ...] | None = None
        self._rows: dict[bytes, int] = {}
        self._known = 0  # rows of the index that have been read
        self._values: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one row; None as long as there is none."""
        if self._shape is None and (self.folder / "info.json").is_file():
            self._shape = self._read_shape(self.folder / "info.json")
        return self._shape

    def _read_shape(self, path: Path) -> tuple[int, ...]:
        info = read_json(path, "data.cache_dir", _EXPECTED)
        try:
            shape = tuple(checked("shape", info["shape"], Counts))
            if len(shape) <= 4 and math.prod(shape) <= _LARGEST_ROW and info["fingerprint"] == self.fingerprint:
                return shape
        except (KeyError, TypeError, ValueError):
            pass
        raise ValueError(f"data.cache_dir: '{path}' is not of this cache; expected {_EXPECTED}")

    @property
    def row_bytes(self) -> int:
        return 2 * int(np.prod(self.shape or ()))

    def find(self, keys: Sequence[str]) -> np.ndarray:
        """The row of each key, -1 where there is none, (len(keys),) int64."""
        self._refresh()
        return np.array([self._rows.get(_digest(key), -1) for key in keys], dtype=np.int64)

    def append(self, keys: Sequence[str], features: Tensor) -> None:
        """Adds a row for each key that has none yet.

        Shapes:
            features: (len(keys), ...) of any float type, on any device.

        Raises:
            ValueError: if a number does not fit float16, the rows are not shaped as those before, or the folder cannot
                be written.
        """
        assert len(features) == len(keys)
        values = features.detach().to("cpu", torch.float16).numpy()
        if not np.isfinite(values).all():
            raise ValueError("the encoder's output has numbers that float16 cannot hold, so it cannot be cached")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock"):
                self._fix_shape(values.shape[1:])
                self._refresh()
                new = {_digest(key): row for row, key in enumerate(keys) if _digest(key) not in self._rows}
                _write(self._data, self._known * self.row_bytes, values[list(new.values())].tobytes())
                _write(self._index, self._known * _DIGEST_BYTES, b"".join(new))
        except OSError as error:
            raise ValueError(f"data.cache_dir: cannot write the feature cache '{self.folder}' ({error})") from error

    def __getitem__(self, row: int) -> Tensor:
        """One row as float16.

        Raises:
            UnreadableError: if the file has been cut off since the row was found.
        """
        if self._values is None or row >= len(self._values):
            rows = self._data.stat().st_size // self.row_bytes
            if row >= rows:
                raise UnreadableError(str(self._data), f"has {rows} rows, and not row {row}; expected {_EXPECTED}")
            self._values = np.memmap(self._data, np.float16, mode="r", shape=(rows, *(self.shape or ())))
        return torch.from_numpy(np.array(self._values[row]))  # a copy: tensors over read-only memory are unsafe

    def __getstate__(self) -> dict[str, Any]:
        # A loader's worker maps the file itself, and only reads rows that were found before.
        return {**self.__dict__, "_rows": {}, "_known": 0, "_values": None}

    @property
    def _data(self) -> Path:
        return self.folder / "features.f16"

    @property
    def _index(self) -> Path:
        return self.folder / "index"

    def _refresh(self) -> None:
        """Takes up what has been appended since, by whomever."""
        complete = 0
        if self.shape is not None and self._data.is_file() and self._index.is_file():
            # An index longer than the data belongs to a folder that was copied in part: those rows do not count.
            complete = min(self._data.stat().st_size // self.row_bytes, self._index.stat().st_size // _DIGEST_BYTES)
        if complete < self._known:  # someone has emptied the folder
            self._rows, self._known, self._values = {}, 0, None
        if complete > self._known:
            with self._index.open("rb") as index:
                index.seek(self._known * _DIGEST_BYTES)
                for row in range(self._known, complete):
                    self._rows[index.read(_DIGEST_BYTES)] = row
            self._known = complete

    def _fix_shape(self, shape: tuple[int, ...]) -> None:
        if self.shape is None:
            info = {"fingerprint": self.fingerprint, "shape": list(shape), "dtype": "float16"}
            temporary = self.folder / f"info.{os.getpid()}"
            temporary.write_text(json.dumps(info, indent=2), encoding="utf-8")
            temporary.replace(self.folder / "info.json")
        if self.shape != tuple(shape):
            raise ValueError(
                f"features of shape {tuple(shape)} for the cache '{self.folder}', which holds {self.shape}: "
                "its fingerprint does not tell two encoders apart"
            )


class CachedFeatures(Dataset):
    """A data set of pictures whose sources are the output of a frozen encoder, computed once and read from disk.

    Construction computes what the cache lacks. Processes that do so at the same time share the work. Pictures that
    cannot be read are left out and listed.

    Pictures are told apart by the data set's ``fingerprint``, so that one of which everything is cached is used without
    decoding any picture. Where there is none, construction looks at each picture and tells by its pixels.

    Args:
        dataset: of pictures of one size.
        extract: the frozen part of the encoder; not kept after construction.
        fingerprint: everything that ``extract`` depends on: architecture, weights, normalization.
        cache_dir: folder of all caches.
        batch_size: pictures that are encoded together.
        num_workers: processes that decode pictures while the cache is filled.

    Attributes:
        folder: of the cache.
        skipped: what the wrapped data set had to leave out, and pictures that cannot be read.

    Shapes:
        extract: (B, 3, H, W) uint8 to (B, S, width). Source of an example: (S, width) float16.

    Raises:
        ValueError: if no picture can be read, or the cache cannot be written.
    """

    def __init__(
        self,
        dataset: Dataset,
        extract: Callable[[Tensor], Tensor],
        fingerprint: str,
        cache_dir: str | Path,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        self._cache = FeatureCache(cache_dir, fingerprint)
        found = [_fingerprint(dataset, index) for index in range(len(dataset))]
        unreadable = {index: known for index, known in enumerate(found) if isinstance(known, UnreadableError)}
        prints = {index: known for index, known in enumerate(found) if isinstance(known, str)}
        unreadable |= _fill(self._cache, dataset, prints, extract, batch_size, num_workers)
        kept = [index for index in prints if index not in unreadable]
        self._rows = self._cache.find([prints[index] for index in kept])
        entries = [dataset.entries[index] for index in kept]
        self.folder = self._cache.folder
        mark_used(self.folder)
        super().__init__(dataset.reader, entries, dataset.skipped + [unreadable[index] for index in sorted(unreadable)])
        if not kept:
            raise ValueError(f"no picture can be read: {'; '.join(map(str, self.skipped[:3]))}")

    def read(self, index: int) -> Tensor:
        return self._cache[int(self._rows[index])]


def _fingerprint(dataset: Dataset, index: int) -> str | UnreadableError:
    """What tells a picture apart from all others, by the picture itself only if the data set cannot tell otherwise."""
    try:
        known = dataset.fingerprint(index)
        return known if known is not None else _of_pixels(dataset.read(index))
    except UnreadableError as error:
        return error
    except OSError as error:  # a file that has gone since the data set was built
        return UnreadableError(str(error.filename), str(error.strerror))


def _of_pixels(picture: Tensor | str) -> str:
    assert isinstance(picture, Tensor), "only pictures have features to cache"
    return f"{tuple(picture.shape)}:{hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()}"


def _fill(
    cache: FeatureCache,
    dataset: Dataset,
    fingerprints: dict[int, str],
    extract: Callable[[Tensor], Tensor],
    batch_size: int,
    num_workers: int,
) -> dict[int, UnreadableError]:
    """Computes what the cache lacks; returns the pictures that could not be read."""
    missing = [i for i, row in zip(fingerprints, cache.find(list(fingerprints.values())), strict=True) if row < 0]
    if not missing:
        return {}
    # Each process begins at another place (golden ratio, so that neighbouring ids lie far apart) and passes over what
    # has been done by the others when it gets there.
    start = int(os.getpid() * 0.6180339887498949 % 1 * len(missing))
    order = missing[start:] + missing[:start]

    def lacking(indices: list[int]) -> list[int]:
        found = cache.find([fingerprints[index] for index in indices])
        return [index for index, row in zip(indices, found, strict=True) if row < 0]

    unreadable: dict[int, UnreadableError] = {}
    with Progress() as progress, torch.no_grad():
        bar = progress.add_task("encoding pictures for the feature cache", total=len(missing))

        def batches() -> Iterator[list[int]]:
            for first in range(0, len(order), batch_size):
                indices = lacking(order[first : first + batch_size])
                progress.advance(bar, len(order[first : first + batch_size]) - len(indices))
                if indices:
                    yield indices

        loader = DataLoader(_Readable(dataset), batch_sampler=batches(), num_workers=num_workers, collate_fn=list)
        for batch in loader:
            unreadable |= {index: picture for index, picture in batch if isinstance(picture, UnreadableError)}
            pictures = {index: picture for index, picture in batch if isinstance(picture, Tensor)}
            wanted = lacking(list(pictures))
            if wanted:
                features = extract(torch.stack([pictures[index] for index in wanted]))
                cache.append([fingerprints[index] for index in wanted], features)
            progress.advance(bar, len(batch))
            _check_space(cache, int(progress.tasks[bar].remaining or 0))
    return unreadable


def _check_space(cache: FeatureCache, remaining: int) -> None:
    if cache.shape is None:  # nothing readable so far
        return
    needed, free = remaining * cache.row_bytes, shutil.disk_usage(cache.folder).free
    if needed > free:
        raise ValueError(
            f"data.cache_dir: the feature cache needs {needed / 1e9:.1f} GB more, '{cache.folder}' has {free / 1e9:.1f}"
        )


class _Readable(TorchDataset[tuple[int, Tensor | UnreadableError]]):
    """Pictures by index, with errors as values, since an exception would end the loader."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[int, Tensor | UnreadableError]:
        try:
            picture = self.dataset.read(index)
        except UnreadableError as error:
            return index, error
        assert isinstance(picture, Tensor), "only pictures have features to cache"
        return index, picture


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _write(path: Path, position: int, data: bytes) -> None:
    """Writes at a position, cuts off what lies behind, and returns when the data has reached the disk."""
    path.touch()
    with path.open("r+b") as file:
        file.seek(position)
        file.truncate()
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
