"""The cache folder from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multimodal_attn.__main__ import main
from multimodal_attn.data.loading.feature_cache import FeatureCache


def test_the_cache_is_shown_and_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FeatureCache(tmp_path, "an encoder").append(["a", "b"], torch.zeros(2, 4, 3))
    (tmp_path / "mine.txt").write_text("not the package's")
    assert main(["cache", "--folder", str(tmp_path)]) == 0
    assert "GB, entries: 1" in capsys.readouterr().out
    assert main(["cache", "--folder", str(tmp_path), "--empty", "--older-than", "1"]) == 0
    assert "deleted, entries: 0" in capsys.readouterr().out
    assert main(["cache", "--folder", str(tmp_path), "--empty"]) == 0
    assert "deleted, entries: 1" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.txt"]


def test_what_makes_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["--older-than", "3"], "--older-than: given without --empty"),
        (["--empty", "--older-than", "-1"], "--older-than: -1.0; expected"),
    ):
        assert main(["cache", "--folder", str(tmp_path), *arguments]) == 2
        assert expected in capsys.readouterr().err
    assert main(["cache", "--folder", str(tmp_path / "nowhere")]) == 0
