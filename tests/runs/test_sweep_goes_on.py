"""A sweep with a failing job."""

from __future__ import annotations

import os
from pathlib import Path

from tests.commands.process import python
from tests.runs.test_exactness import FEW


def test_failing_job_does_not_end_a_sweep(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    arguments = ["-m", *FEW, "trainer.max_epochs=1", "data.texts_per_source=1,0,2", f"hydra.sweep.dir={sweep}"]
    found = python("train.py", *arguments, f"cache_dir={tmp_path}", env={**os.environ, "COLUMNS": "200"})
    assert found.returncode == 1, found.stderr
    assert "error: data.texts_per_source: 0" in found.stderr
    assert "texts_per_source=0" in next(line for line in found.stderr.splitlines() if line.startswith("failed: "))
    assert "Traceback" not in found.stderr
    for number, checkpoints in ((0, True), (1, False), (2, True)):
        assert (sweep / str(number) / "checkpoints" / "last.ckpt").is_file() == checkpoints
    rows = [line.split() for line in found.stdout.splitlines() if f"{sweep}/" in line and "trainable" not in line]
    table = [row for row in rows if row[0] in "012" and "evaluate" not in row]
    assert {row[0] for row in table} == {"0", "1", "2"}
    assert table[-1][0] == "0"  # the one without a value stands last
