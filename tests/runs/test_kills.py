"""Kills at random moments and within every write: the run ends as the uninterrupted one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands.process import ROOT, python
from tests.runs.test_exactness import FEW, assert_equal, compared
from tests.runs.tiny import run

CHECKPOINTS = ["+callbacks.last_checkpoint.every_n_train_steps=2", "trainer.max_epochs=12"]


def size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_again_and_again_ends_as_uninterrupted(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    run(whole, *FEW, *CHECKPOINTS)
    moments, kills = random.Random(0), 0
    while kills < 12:
        arguments = [*FEW, *CHECKPOINTS, f"hydra.run.dir={folder}"]
        if (folder / "checkpoints" / "last.ckpt").is_file():
            arguments = [f"resume={folder}"]
        process = subprocess.Popen(
            [sys.executable, "train.py", *arguments, f"cache_dir={tmp_path}"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Any moment of a start, or of the training: how long a start takes depends on what else the machine is doing.
        log, before = folder / "metrics.jsonl", size(folder / "metrics.jsonl")
        if moments.random() < 0.7:
            while process.poll() is None and size(log) == before:
                time.sleep(0.01)
        started, wait = time.monotonic(), moments.uniform(0, 3)
        while process.poll() is None and time.monotonic() - started < wait:
            time.sleep(0.01)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    ended = python("train.py", f"resume={folder}", f"cache_dir={tmp_path}")
    assert ended.returncode == 0, ended.stderr
    assert kills > 2
    assert_equal(compared(folder), compared(whole))
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert not list(folder.rglob(".unfinished*"))


def kill_at(number: int) -> None:
    """Ends this process within its n-th write, when all is written and nothing renamed."""
    replace, calls = os.replace, []

    def counted(*arguments: Path) -> None:
        calls.append(arguments)
        if len(calls) == number:
            os._exit(9)
        replace(*arguments)

    os.replace = counted


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kill_within_every_write_ends_as_uninterrupted(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    changes = [*FEW, "trainer.max_epochs=2", "+callbacks.last_checkpoint.every_n_train_steps=2"]
    run(whole, *changes)
    number = 0
    while True:
        number += 1
        process = os.fork()
        if process == 0:
            kill_at(number)
            last = (folder / "checkpoints" / "last.ckpt").is_file()
            try:
                run(folder, *([] if last else changes), resume=folder if last else None)
            except BaseException:
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status in (0, 9)
        if status == 0:
            break
    assert number > 3
    assert_equal(compared(folder), compared(whole))
    assert not list(folder.rglob(".unfinished*"))
