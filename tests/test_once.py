"""What the processes of a session share."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.once import made_once


def factory(folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    return SimpleNamespace(getbasetemp=lambda: folder)


def test_of_two_processes_one_makes_what_both_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")

    def make(folder: Path) -> None:
        folder.mkdir()
        time.sleep(0.2)
        (folder / "maker").write_text(str(os.getpid()))

    processes = []
    for name in ("gw0", "gw1"):
        worker = factory(tmp_path / name)
        process = os.fork()
        if process == 0:
            status = 1
            try:
                maker = (made_once(worker, "it", make) / "maker").read_text()
                (tmp_path / name / "read").write_text(maker)
                status = 0
            finally:
                os._exit(status)
        processes.append(process)
    assert [os.waitpid(process, 0)[1] for process in processes] == [0, 0]
    read = {int((tmp_path / name / "read").read_text()) for name in ("gw0", "gw1")}
    assert len(read) == 1
    assert read <= set(processes)


def test_what_failed_half_way_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    session = factory(tmp_path)

    def fail(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        made_once(session, "it", fail)
    found = made_once(session, "it", lambda folder: folder.mkdir())
    assert list(found.iterdir()) == []
    assert made_once(session, "it", fail) == found
