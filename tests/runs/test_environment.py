from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path
from typing import cast

import pytest
import torch

from multimodal_attn.data.datasets.base import Dataset, Entry
from multimodal_attn.data.modalities.picture import PictureReader
from multimodal_attn.runs.environment import FILE, Environment, code, fingerprint, stretches
from multimodal_attn.types import Target


class Files(Dataset):
    """Files with a caption each."""

    def __init__(self, folder: Path, texts: list[str]) -> None:
        super().__init__(cast(PictureReader, None), [Entry(f"k{i}", (Target(text),)) for i, text in enumerate(texts)])
        self.folder = folder

    def path(self, index: int) -> str:
        return str(self.folder / f"{index}.bin")


def test_a_data_set_is_told_by_its_keys_texts_and_sizes(tmp_path: Path) -> None:
    for name, size in (("0.bin", 5), ("1.bin", 7)):
        (tmp_path / name).write_bytes(b"x" * size)
    found = fingerprint(Files(tmp_path, ["a", "b", "c"]))
    assert (found["examples"], found["files"], found["bytes"]) == (3, 2, 12)  # the third is gone
    assert found == fingerprint(Files(tmp_path, ["a", "b", "c"]))
    assert found["sha256"] != fingerprint(Files(tmp_path, ["a", "b", "d"]))["sha256"]
    (tmp_path / "1.bin").write_bytes(b"x" * 8)
    assert found["sha256"] != fingerprint(Files(tmp_path, ["a", "b", "c"]))["sha256"]


def test_what_is_written_tells_the_machine_and_nobody(tmp_path: Path) -> None:
    pytest.importorskip("rouge_score")  # which scores summaries
    environment = Environment()
    environment.add_data("data/photos", "val", Files(tmp_path, ["a"]))
    environment.write(tmp_path, wall=False)
    text = (tmp_path / FILE).read_text()
    content = json.loads(text)
    assert content["wall_seconds"] is None
    assert content["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert "rouge_score" in content["packages"]
    assert content["machine"]["cores"] >= 1
    assert content["data"]["root"] == "data/photos"
    assert content["threads"] == {"torch": torch.get_num_threads(), "processes": 1}
    for secret in (str(Path.home()) + "/", str(tmp_path), platform.node(), f"/{getpass.getuser()}/"):
        assert not secret or secret not in text


def test_the_stretches_of_a_resumed_run_stay(tmp_path: Path) -> None:
    assert stretches(tmp_path) == []
    Environment().write(tmp_path, wall=True)
    for number in (1, 2):
        earlier = stretches(tmp_path)
        assert len(earlier) == number
        Environment().write(tmp_path, wall=True, earlier=earlier)
    assert [stretch["wall_seconds"] is not None for stretch in stretches(tmp_path)] == [True] * 3
    (tmp_path / FILE).write_text("[torn")
    assert stretches(tmp_path) == []


def test_the_commit_is_the_one_that_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multimodal_attn.runs.environment.code", lambda: {"commit": "first"})
    environment = Environment()
    environment.add_data(None, "train", Files(tmp_path, ["a"]))
    monkeypatch.setattr("multimodal_attn.runs.environment.code", lambda: {"commit": "later"})
    environment.write(tmp_path, wall=True)
    assert json.loads((tmp_path / FILE).read_text())["code"] == {"commit": "first"}


def test_the_commit_is_that_of_this_checkout(repository: Path) -> None:
    found = code()
    if (repository / ".git").exists():
        assert len(found["commit"]) == 40
        assert isinstance(found["clean"], bool)
