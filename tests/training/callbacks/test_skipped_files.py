from __future__ import annotations

from pathlib import Path

import pytest

from multimodal_attn.training.callbacks.skipped_files import SkippedFiles
from multimodal_attn.types import UnreadableError


def test_each_file_once_and_reasons_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("multimodal_attn.training.callbacks.skipped_files.rank_zero_info", said.append)
    skipped = SkippedFiles(str(tmp_path))
    skipped.add([UnreadableError("a", "longer than 3 (4.00 s)"), UnreadableError("b", "longer than 3 (5.00 s)")])
    skipped.add([UnreadableError("a", "again"), UnreadableError("c", "truncated: 4 of 8 samples")])
    skipped.report()
    skipped.report()
    assert len(said) == 1
    assert said[0].startswith("3 examples could not be used (2 longer than 3; 1 truncated): see ")
    assert skipped.path.read_text().splitlines() == [
        "a\tlonger than 3 (4.00 s)",
        "b\tlonger than 3 (5.00 s)",
        "c\ttruncated: 4 of 8 samples",
    ]
    one = SkippedFiles(str(tmp_path))
    one.add([UnreadableError("d", "no source")])
    one.report()
    assert said[1] == f"1 example could not be used (1 no source): see {one.path}"
