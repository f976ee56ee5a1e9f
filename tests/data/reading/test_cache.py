from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from multimodal_attn.data.loading.features import FeatureCache
from multimodal_attn.data.reading.cache import cache_entries, empty_cache, limit_cache, mark_used


def features(folder: Path, name: str, rows: int, days_ago: float) -> Path:
    cache = FeatureCache(folder, name)
    cache.append([str(number) for number in range(rows)], torch.zeros(rows, 1, 100))
    mark_used(cache.folder)
    for file in cache.folder.iterdir():
        os.utime(file, (time.time() - 86_400 * days_ago,) * 2)
    return cache.folder


def corpus(folder: Path, days_ago: float) -> Path:
    path = folder / "spoken-v2-10-2-2-seed0"
    (path / "train").mkdir(parents=True)
    for name, size in (("SHA256SUMS", 100), ("train/0.flac", 5000)):
        (path / name).write_bytes(bytes(size))
        os.utime(path / name, (time.time() - 86_400 * days_ago,) * 2)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache with two sets of features, a corpus, and what others have put there."""
    features(tmp_path, "old encoder", 300, 40)
    features(tmp_path, "new encoder", 10, 1)
    corpus(tmp_path, 20)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(bytes(10_000))
    (tmp_path / ("a" * 24)).mkdir()  # named as ours, but without what ours hold
    (tmp_path / ("b" * 24)).symlink_to(tmp_path / "photos")
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def test_entries_say_what_they_are(folder: Path) -> None:
    found = cache_entries(folder)
    assert [(entry.kind, entry.encoder, entry.data, entry.sources) for entry in found] == [
        ("features", "old encoder", "", 300),
        ("corpus", "", "built-in speech: 10 train, 2 val, 2 test, seed 0", 14),
        ("features", "new encoder", "", 10),
    ]
    assert found[0].size > 300 * 200
    assert [round((time.time() - entry.used) / 86_400) for entry in found] == [40, 20, 1]
    assert cache_entries(folder / "nowhere") == []


def test_only_what_is_ours_and_old_is_deleted(folder: Path) -> None:
    others = {path.name for path in folder.iterdir()} - {entry.path.name for entry in cache_entries(folder)}
    assert [entry.encoder for entry in empty_cache(folder, older_than_days=30)] == ["old encoder"]
    assert len(empty_cache(folder)) == 2
    assert cache_entries(folder) == []
    left = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
    assert left == others
    assert (folder / "photos" / "mine.jpg").stat().st_size == 10_000


def test_what_is_being_written_stays(folder: Path) -> None:
    busy = cache_entries(folder)[0]
    with FileLock(busy.path / "lock"):
        assert busy.path not in [entry.path for entry in empty_cache(folder)]
    assert [entry.path for entry in cache_entries(folder)] == [busy.path]


def test_the_limit_takes_what_was_not_used_for_longest(folder: Path) -> None:
    keep = cache_entries(folder)[2].path
    assert limit_cache(folder, 1.0, [keep]) == []
    assert [entry.encoder for entry in limit_cache(folder, 20e-6, [keep])] == ["old encoder"]
    with pytest.warns(UserWarning, match=r"0.0 GB, more than data.cache_gigabytes=1e-09; what was used in the last 7"):
        assert [entry.kind for entry in limit_cache(folder, 1e-9, [keep])] == ["corpus"]
    assert [entry.path for entry in cache_entries(folder)] == [keep]


def test_a_limit_leaves_what_may_not_be_deleted(folder: Path) -> None:
    old = next(entry for entry in cache_entries(folder) if entry.encoder == "old encoder")
    (old.path / "lock").unlink()
    (old.path / "lock").mkdir()  # as where others may write alone: no lock can be had
    with pytest.warns(UserWarning, match=r"stays, and what may not be deleted"):
        assert [entry.kind for entry in limit_cache(folder, 1e-9, [])] == ["corpus"]
    assert old.path.is_dir()
