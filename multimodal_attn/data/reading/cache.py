"""What is kept between runs in the cache folder: features of frozen encoders and the corpora that are built here."""

from __future__ import annotations

import os
import re
import shutil
import time
import warnings
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from multimodal_attn.data.reading.json_files import read_json

CACHE_GIGABYTES = 50.0
"""The most that the folder holds before something of it is deleted, that which has not been used for longest."""
RECORD_BYTES = 20
"""Of a source, or of a version of it, in the ``index`` of a cache of features."""
_FEATURES = re.compile(r"[0-9a-f]{24}")
_CORPUS = re.compile(r"spoken-v\d+-(\d+)-(\d+)-(\d+)-seed(\d+)")
_RECENT_DAYS = 7
_LISTS = ("SHA256SUMS", "info.json")
"""A file that every entry has one of; its time says when the entry was last used, which reading does not tell."""


class CacheEntry(NamedTuple):
    """A folder in the cache.

    Attributes:
        path: of the folder.
        kind: "features" or "corpus".
        encoder: whose features they are; empty for a corpus.
        data: what they were made of, or which corpus it is.
        sources: their number, each version of one counted.
        size: in bytes.
        used: seconds since the epoch when it was last used.
    """

    path: Path
    kind: str
    encoder: str
    data: str
    sources: int
    size: int
    used: float


def mark_used(folder: Path) -> None:
    """Notes that an entry is in use; a folder that cannot be written has no need of it."""
    for name in _LISTS:
        try:
            os.utime(folder / name)
        except OSError:
            continue


def cache_entries(folder: str | Path) -> list[CacheEntry]:
    """What lies in a cache folder, the largest first. Anything that has not been put there by this package is left out.

    Args:
        folder: such as ``~/.cache/multimodal_attn``.
    """
    root = Path(folder).expanduser()
    found = [_entry(path) for path in (sorted(root.iterdir()) if root.is_dir() else []) if _is_entry(path)]
    return sorted(found, key=lambda entry: -entry.size)


def empty_cache(folder: str | Path, older_than_days: float | None = None) -> list[CacheEntry]:
    """Deletes what lies in a cache folder; what another process is writing stays.

    Args:
        folder: such as ``~/.cache/multimodal_attn``.
        older_than_days: only what has not been used for so long; None for everything.

    Returns:
        What has been deleted.

    Raises:
        OSError: if it cannot be deleted.
    """
    before = time.time() - 86_400 * (older_than_days or 0)
    old = [entry for entry in cache_entries(folder) if older_than_days is None or entry.used < before]
    return [entry for entry in old if _delete(entry)]


def limit_cache(folder: str | Path, gigabytes: float, keep: Collection[Path]) -> list[CacheEntry]:
    """Deletes what has not been used for longest, until a cache folder holds no more than a limit.

    What has been used in the last week stays, as a run may still need it, and so does what may not be deleted, as in a
    folder that others share out; a warning says if that is too much.

    Args:
        folder: such as ``~/.cache/multimodal_attn``.
        gigabytes: the limit.
        keep: entries that are in use.

    Returns:
        What has been deleted.
    """
    entries = sorted(cache_entries(folder), key=lambda entry: entry.used)
    in_use = {path.resolve() for path in keep}
    excess, deleted = sum(entry.size for entry in entries) - gigabytes * 1e9, []
    for entry in entries:
        old = entry.used < time.time() - 86_400 * _RECENT_DAYS and entry.path.resolve() not in in_use
        with suppress(OSError):
            if excess > 0 and old and _delete(entry):
                excess -= entry.size
                deleted.append(entry)
    if excess > 0:
        warnings.warn(
            f"{folder} holds {gigabytes + excess / 1e9:.1f} GB, more than data.cache_gigabytes={gigabytes:g}; what was"
            f" used in the last {_RECENT_DAYS} days stays, and what may not be deleted",
            stacklevel=2,
        )
    return deleted


def _is_entry(path: Path) -> bool:
    """Whether a folder is one of ours by its name and by what it holds: nothing else is ever deleted."""
    if path.is_symlink() or not path.is_dir():
        return False
    if _CORPUS.fullmatch(path.name):
        return (path / "SHA256SUMS").is_file()
    return _FEATURES.fullmatch(path.name) is not None and (path / "info.json").is_file()


def _entry(path: Path) -> CacheEntry:
    files = [file.stat() for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    used = max((file.st_mtime for file in files), default=path.stat().st_mtime)
    size = sum(file.st_size for file in files)
    if corpus := _CORPUS.fullmatch(path.name):
        *numbers, seed = map(int, corpus.groups())
        data = "built-in speech: {} train, {} val, {} test, seed {}".format(*numbers, seed)
        return CacheEntry(path, "corpus", "", data, sum(numbers), size, used)
    try:
        info = read_json(path / "info.json", "cache", "a cache of features")
        encoder, data = str(info.get("encoder") or info["fingerprint"])[:200], "; ".join(info.get("data", []))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        encoder, data = "damaged", ""
    index = path / "index"
    sources = index.stat().st_size // RECORD_BYTES if index.is_file() else 0
    return CacheEntry(path, "features", encoder, data, sources, size, used)


def _delete(entry: CacheEntry) -> bool:
    """Deletes an entry; False if somebody is writing there."""
    lock = entry.path / "lock" if entry.kind == "features" else entry.path.parent / f"{entry.path.name}.lock"
    try:
        with FileLock(lock, timeout=0):
            # Renamed first, so that nobody finds half of it.
            doomed = entry.path.with_name(f"{entry.path.name}.deleting-{os.getpid()}")
            entry.path.rename(doomed)
    except Timeout:
        return False
    shutil.rmtree(doomed)
    return True
