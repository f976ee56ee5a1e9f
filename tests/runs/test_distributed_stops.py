"""Two processes on the CPU that are killed or asked to stop in the middle of an epoch: they end together, and go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.commands.process import ROOT, python
from tests.runs.test_exactness import assert_equal, compared
from tests.runs.tiny import SHAPES, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

TWO = [
    *SHAPES,
    *("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.eval_batch_size=3", "data.batch_size=2"),
    *("decoder.dropout=0.2", "callbacks.attention_maps.num_examples=0", "trainer.log_every_n_steps=1"),
    *("trainer.max_epochs=2", "+callbacks.last_checkpoint.every_n_train_steps=3"),
]
STEPS = 16  # in an epoch, of each process


def children(process: int) -> list[int]:
    """Processes that a process has started and that have not ended."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == process and state != "Z":
                found.append(int(place.name))
    return found


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def last_step(folder: Path) -> float:
    return lines(folder)[-1]["step"] if (folder / "metrics.jsonl").is_file() else -1


def stop_at(folder: Path, step: int, act: Callable[[int, int], None]) -> tuple[int, str]:
    """Starts a training, acts on its launcher and the other process at a step (-1: before the first, once there is
    another process), and gives the status and the output."""
    process = subprocess.Popen(
        [sys.executable, "train.py", *TWO, f"hydra.run.dir={folder}", f"cache_dir={folder.parent}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while (
        (last_step(folder) < step or not children(process.pid))
        and time.monotonic() < deadline
        and process.poll() is None
    ):
        time.sleep(0.005)
    found = children(process.pid)
    if len(found) != 1:
        process.kill()
    assert len(found) == 1, process.communicate(timeout=150)
    (other,) = found
    act(process.pid, other)
    output, _ = process.communicate(timeout=150)
    while is_alive(other) and time.monotonic() < deadline + 150:
        time.sleep(0.1)
    assert not is_alive(other), output
    return process.returncode, output


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    result = python("train.py", *TWO, f"hydra.run.dir={folder}", f"cache_dir={folder.parent}")
    assert result.returncode == 0, result.stderr
    return folder


ACTS: dict[str, tuple[Callable[[int, int], None], int]] = {
    "terminated": (lambda launcher, other: os.kill(launcher, signal.SIGTERM), 143),
    "terminated_other": (lambda launcher, other: os.kill(other, signal.SIGTERM), 143),
    "interrupted": (lambda launcher, other: os.killpg(launcher, signal.SIGINT), 130),
    "interrupted_other": (lambda launcher, other: os.kill(other, signal.SIGINT), 130),
    "killed": (lambda launcher, other: os.kill(launcher, signal.SIGKILL), -signal.SIGKILL),
    "killed_other": (lambda launcher, other: os.kill(other, signal.SIGKILL), 2),
}


@pytest.mark.parametrize("name", list(ACTS))
def test_two_processes_stop_together_and_go_on_exactly(name: str, whole: Path, tmp_path: Path) -> None:
    act, expected = ACTS[name]
    folder = tmp_path / "run"
    status, output = stop_at(folder, STEPS + 4, act)
    # The launcher looks after the others every five seconds, and may end itself for one that is gone.
    assert status in (expected, -signal.SIGKILL if name == "killed_other" else expected), output
    assert "Traceback" not in output, output
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert STEPS < saved["global_step"] < 2 * STEPS  # in the middle of the second epoch
    if status in (130, 143):
        assert output.count(f"python train.py resume={folder}") == 1
    resumed = python("train.py", f"resume={folder}", f"cache_dir={tmp_path}")
    assert resumed.returncode == 0, resumed.stderr
    assert_equal(compared(folder), compared(whole))
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


@pytest.mark.parametrize("seconds", [0, 2, 5, 8])
def test_a_launcher_that_is_terminated_before_the_first_step_takes_the_other_with_it(
    seconds: float, tmp_path: Path
) -> None:
    folder = tmp_path / "run"

    def terminate(launcher: int, other: int) -> None:
        time.sleep(seconds)
        os.kill(launcher, signal.SIGTERM)

    status, output = stop_at(folder, -1, terminate)
    assert status == 143, output
    assert "Traceback" not in output, output
    begun = (folder / "checkpoints").exists()
    assert begun == folder.exists(), [*folder.rglob("*")]
    assert not begun or f"python train.py resume={folder}" in output
