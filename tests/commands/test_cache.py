"""The cache folder from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multimodal_attn.__main__ import main
from multimodal_attn.data.loading.feature_cache import FeatureCache


def test_the_cache_is_shown_and_emptied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path, "f00d")
    cache.append([str(number) for number in range(1200)], torch.zeros(1200, 4, 3))
    for data in ("Digits /fsdd", "Grid /grid", "Digits /fsdd"):
        cache.describe("timm test_vit", data)
    (tmp_path / "mine.txt").write_text("not the package's")
    (tmp_path / "spoken-v3-10-2-1-seed7").mkdir()
    (tmp_path / "spoken-v3-10-2-1-seed7" / "SHA256SUMS").write_bytes(bytes(60))
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["cache", "--folder", str(tmp_path)]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    features = f"kB today 1,200 timm test_vit Digits /fsdd; Grid /grid {cache.folder.name}"
    sizes = [float(line[0]) for line in shown if line[1:] == features.split()]
    assert sizes == pytest.approx([24 + 28.8 + 0.1], abs=0.1)  # index, features and info.json
    speech = "60 bytes today 13 - built-in speech: 10 train, 2 val, 1 test, seed 7 spoken-v3-10-2-1-seed7"
    assert speech.split() in shown
    assert shown[-1][2:] == ["kB,", "entries:", "2"]
    assert main(["cache", "--folder", str(tmp_path), "--empty", "--older-than", "1"]) == 0
    assert "deleted, entries: 0" in capsys.readouterr().out
    assert main(["cache", "--folder", str(tmp_path), "--empty"]) == 0
    assert "kB deleted, entries: 2" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == ["mine.txt"]


def test_what_makes_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["--older-than", "3"], "--older-than: given without --empty"),
        (["--empty", "--older-than", "-1"], "--older-than: -1.0; expected"),
    ):
        assert main(["cache", "--folder", str(tmp_path), *arguments]) == 2
        assert expected in capsys.readouterr().err
    assert main(["cache", "--folder", str(tmp_path / "nowhere")]) == 0
