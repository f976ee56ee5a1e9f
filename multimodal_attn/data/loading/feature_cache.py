"""Features of frozen encoders on disk, found by key."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from multimodal_attn.data.reading.cache import RECORD_BYTES
from multimodal_attn.data.reading.files import digest
from multimodal_attn.data.reading.json_files import read_json
from multimodal_attn.parts import checked
from multimodal_attn.ranges import Count
from multimodal_attn.types import UnreadableError
from multimodal_attn.writing import write_file

_LAYOUT = "rows of any length"
"""Begins what the name of a folder is made of: another layout of the files has folders of other names."""
_DIGEST_BYTES = RECORD_BYTES - 4
_RECORD = np.dtype([("key", f"V{_DIGEST_BYTES}"), ("positions", "<u4")])
_WIDEST = 1 << 20  # numbers
_PATIENCE = 5  # seconds
_EXPECTED = "a cache of features as it was written; the folder may be deleted"

MISSING = (-1, 0)
"""The place of a key that the cache does not hold."""


class FeatureCache:
    """Features (S, width) in float16 on disk, found by key, for one encoder; S may differ from source to source.

    A folder for each fingerprint holds ``features.f16`` (the positions of one source after those of another),
    ``index`` (for each source a digest of its key and its number of positions, in the same order) and ``info.json``.
    Sources are only ever appended, and one is entered in the index after its data has reached the disk: whatever an
    interrupted writer leaves behind is overwritten by the next one. Writers take a lock for each append, so any number
    of processes may fill a cache together. What belongs to a source that has changed stays as dead weight; the folder
    may be deleted whenever no run uses it.

    Args:
        cache_dir: folder of all caches.
        fingerprint: everything that the features depend on, except the source: encoder, weights, transform.
    """

    def __init__(self, cache_dir: str | Path, fingerprint: str) -> None:
        name = digest(f"{_LAYOUT}:{fingerprint}").hex()[:24]
        self.folder = Path(cache_dir).expanduser().absolute() / name
        self.fingerprint = fingerprint
        self._width: int | None = None
        self._places: dict[bytes, tuple[int, int]] = {}
        self._known = 0  # records of the index that have been read
        self._end = 0  # positions that they count
        self._values: np.ndarray | None = None

    @property
    def width(self) -> int | None:
        """Numbers of a position; None as long as there is none."""
        if self._width is None and (self.folder / "info.json").is_file():
            self._width = self._read_width(self.folder / "info.json")
        return self._width

    def _read_width(self, path: Path) -> int:
        info = read_json(path, "data.cache_dir", _EXPECTED)
        try:
            width: int = checked("width", info["width"], Count)
            if width <= _WIDEST and info["fingerprint"] == self.fingerprint:
                return width
        except (KeyError, TypeError, ValueError):
            pass
        raise ValueError(f"data.cache_dir: '{path}' is not of this cache; expected {_EXPECTED}")

    @property
    def _position_bytes(self) -> int:
        return 2 * (self.width or 0)

    def find(self, keys: Sequence[str]) -> np.ndarray:
        """The first position and the number of positions of each key, ``MISSING`` where there is none.

        Shapes:
            Returns (len(keys), 2) int64.
        """
        self._refresh()
        return np.array([self._places.get(_digest(key), MISSING) for key in keys], dtype=np.int64).reshape(-1, 2)

    def append(self, keys: Sequence[str], features: Sequence[Tensor]) -> None:
        """Adds what belongs to each key that is not there yet.

        Shapes:
            features: len(keys) of (S, width), of any float type, on any device.

        Raises:
            ValueError: if a number does not fit float16, positions are not as wide as those before, or the folder
                cannot be written.
        """
        values = [each.detach().to("cpu", torch.float16).numpy() for each in features]
        if not all(np.isfinite(each).all() for each in values):
            raise ValueError("the encoder's output has numbers that float16 cannot hold, so it cannot be cached")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock"):
                for each in values:
                    self._fix_width(each.shape)
                self._refresh()
                new = {_digest(key): each for key, each in zip(keys, values, strict=True)}
                new = {key: each for key, each in new.items() if key not in self._places}
                records = np.array([(key, len(each)) for key, each in new.items()], _RECORD)
                _write(self._data, self._end * self._position_bytes, b"".join(v.tobytes() for v in new.values()))
                _write(self._index, self._known * _RECORD.itemsize, records.tobytes())
        except OSError as error:
            raise ValueError(f"data.cache_dir: cannot write the feature cache '{self.folder}' ({error})") from error

    def describe(self, encoder: str, data: str) -> None:
        """Writes down for people what has been kept here; a folder that cannot be written stays as it is.

        Args:
            encoder: what it is called.
            data: what those are called whose features have been asked for.
        """
        if self.width is None:
            return
        path = self.folder / "info.json"
        with suppress(OSError, Timeout), FileLock(self.folder / "lock", timeout=_PATIENCE):
            info = read_json(path, "data.cache_dir", _EXPECTED)
            told = {"encoder": info.get("encoder") or encoder, "data": sorted({*info.get("data", []), data})}
            if info != info | told:
                write_file(path, json.dumps(info | told, indent=2))

    def read(self, first: int, positions: int) -> Tensor:
        """The positions of one source, (positions, width) float16.

        Raises:
            UnreadableError: if the file has been cut off since they were found.
        """
        if self._values is None or first + positions > len(self._values):
            there = self._data.stat().st_size // self._position_bytes
            if first + positions > there:
                raise UnreadableError(
                    str(self._data), f"has {there} positions, and not {first + positions}; expected {_EXPECTED}"
                )
            self._values = np.memmap(self._data, np.float16, mode="r", shape=(there, self.width or 0))
        # A copy: tensors over read-only memory are unsafe.
        return torch.from_numpy(np.array(self._values[first : first + positions]))

    def __getstate__(self) -> dict[str, Any]:
        # A loader's worker maps the file itself, and only reads what was found before.
        return {**self.__dict__, "_places": {}, "_known": 0, "_end": 0, "_values": None}

    @property
    def _data(self) -> Path:
        return self.folder / "features.f16"

    @property
    def _index(self) -> Path:
        return self.folder / "index"

    def _refresh(self) -> None:
        """Takes up what has been appended since, by whomever."""
        available = known = 0
        if self.width is not None and self._data.is_file() and self._index.is_file():
            # An index longer than the data belongs to a folder that was copied in part: those sources do not count.
            available = self._data.stat().st_size // self._position_bytes
            known = self._index.stat().st_size // _RECORD.itemsize
        if available < self._end or known < self._known:  # someone has emptied the folder
            self._places, self._known, self._end, self._values = {}, 0, 0, None
        if known > self._known:
            with self._index.open("rb") as index:
                index.seek(self._known * _RECORD.itemsize)
                records = np.frombuffer(index.read((known - self._known) * _RECORD.itemsize), _RECORD)
            for key, positions in records.tolist():
                if self._end + positions > available:
                    break
                self._places[key] = (self._end, positions)
                self._known += 1
                self._end += positions

    def _fix_width(self, shape: tuple[int, ...]) -> None:
        if self.width is None:
            info = {"fingerprint": self.fingerprint, "width": shape[-1], "dtype": "float16"}
            write_file(self.folder / "info.json", json.dumps(info, indent=2))
        if (len(shape), shape[-1]) != (2, self.width):
            raise ValueError(
                f"features of shape {tuple(shape)} for the cache '{self.folder}', whose positions have {self.width}"
                " numbers: its fingerprint does not tell two encoders apart"
            )


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
