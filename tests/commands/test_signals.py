"""Signals and closed pipes, with real processes: exit statuses, no traceback, and a checkpoint to go on from."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from multimodal_attn.runs.evaluations.evaluate import evaluate
from tests.commands.process import ROOT, python
from tests.runs.test_exactness import FEW
from tests.runs.tiny import compose, run

pytestmark = pytest.mark.timeout(600)  # each starts some processes, on whatever else the machine is doing
LONG = [*FEW, "trainer.max_epochs=1000"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that runs the tests in the background lets its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 150
    while not ready() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    assert ready(), process.communicate(timeout=150)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    run(folder, *FEW, "trainer.max_epochs=1")
    evaluate(compose("evaluate", f"run={folder}", "search=greedy", "device=cpu", "page_examples=1"))
    return folder


@pytest.mark.parametrize(
    ("number", "status", "changes"),
    [
        (signal.SIGTERM, 143, []),
        pytest.param(signal.SIGINT, 130, [], marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, ["data.num_workers=2"], marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, ["data.num_workers=1"], marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, ["trainer.accumulate_grad_batches=4"], marks=pytest.mark.slow),
    ],
)
def test_signal_ends_a_training_with_its_status_and_a_checkpoint(
    number: signal.Signals, status: int, changes: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = start("train.py", *LONG, *changes, f"hydra.run.dir={folder}", f"cache_dir={tmp_path}")
    wait(process, (folder / "metrics.jsonl").is_file)
    process.send_signal(number)
    output, _ = process.communicate(timeout=150)
    assert process.returncode == status, output
    assert "Traceback" not in output
    assert f"python train.py resume={folder}" in output
    for noise in ("available", "weights_only", "eval mode", "logging interval", "hydra", "does not have many workers"):
        assert noise not in output
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    steps, epochs = saved["global_step"], saved["epoch"] + 2
    assert steps > 0

    resumed = python("train.py", f"resume={folder}", f"trainer.max_epochs={epochs}")
    assert resumed.returncode == 0, resumed.stderr
    done = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    accumulated = 4 if "accumulate" in str(changes) else 1
    assert done["global_step"] == epochs * -(-5 // accumulated)


def test_interrupted_import_is_not_tried_again(tmp_path: Path) -> None:
    """A second import of torch would abort the process: its C++ has registered its types already."""
    folder = tmp_path / "run"
    program = f"""
import sys
class Interrupt:
    seen = 0
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "pytorch_lightning"):
            Interrupt.seen += 1
            if Interrupt.seen == 1:
                raise KeyboardInterrupt
            print("again:", name)
sys.meta_path.insert(0, Interrupt())
from multimodal_attn.__main__ import main
try:
    main(["train", "hydra.run.dir={folder}"])
except SystemExit as end:
    print(Interrupt.seen, end.code)
"""
    result = python("-c", program)
    assert result.stdout.split() == ["1", "130"], (result.stdout, result.stderr)
    assert not folder.exists()


def test_termination_before_the_training_begins_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start("train.py", *LONG, f"hydra.run.dir={folder}", f"cache_dir={tmp_path}")
    wait(process, folder.exists)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=150)
    assert process.returncode == 143, output
    assert "Traceback" not in output
    assert not folder.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_while_hydra_makes_the_folder_leaves_none(number: signal.Signals, status: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    program = f"""
import os, signal
import hydra.core.utils as utils
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell takes away from what it runs in the background
save = utils._save_config
def save_and_signal(*arguments):
    os.kill(os.getpid(), {int(number)})
    save(*arguments)
utils._save_config = save_and_signal
from multimodal_attn.__main__ import main
raise SystemExit(main(["train", "hydra.run.dir={folder}"]))
"""
    result = python("-c", program)
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    assert not folder.exists()


def test_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start("train.py", *LONG, f"hydra.run.dir={folder}", f"cache_dir={tmp_path}")
    wait(process, (folder / "metrics.jsonl").is_file)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=150)
    assert process.returncode == 130, output
    assert "Traceback" not in output


COMMANDS = {
    "train": ["train.py", *FEW],
    "evaluate": ["evaluate.py", "run={run}", "device=cpu"],
    "predict": ["-m", "multimodal_attn", "predict", "{run}", "docs/images"],
    "transcribe": ["-m", "multimodal_attn", "transcribe", "{run}", "docs/images"],
    "shards": ["-m", "multimodal_attn", "shards", "data.num_examples={{train:4000,val:8,test:8}}", "--output={new}"],
}


@pytest.mark.parametrize(
    "command",
    [
        "evaluate",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("train", "predict", "transcribe", "shards")),
    ],
)
def test_interrupt_at_any_moment_is_130_without_a_traceback(command: str, trained: Path, tmp_path: Path) -> None:
    moments = random.Random(0)
    ended = 0
    for number in range(4):
        new = tmp_path / str(number)
        if command == "train":
            arguments = [*COMMANDS["train"], f"hydra.run.dir={new}", f"cache_dir={tmp_path}"]
        else:
            arguments = [part.format(run=trained, new=new / "out") for part in COMMANDS[command]]
        process = start(*arguments)
        time.sleep(moments.uniform(0.3, 3))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=150)
        if process.returncode == 130:
            ended += 1
            assert "Traceback" not in output, output
        elif process.returncode == -signal.SIGINT:
            assert "Traceback" not in output, output  # Python itself was not ready yet, or about to end
        else:
            assert process.returncode in (0, 1, 2), output  # it was through already
    assert ended


@pytest.mark.parametrize(
    "command",
    [
        ["train.py", "--help"],
        ["train.py", "--cfg", "job"],
        ["-m", "multimodal_attn", "--help"],
        ["-m", "multimodal_attn", "compare", "{run}"],
        pytest.param(["-m", "multimodal_attn", "predict", "{run}", "docs/images"], marks=pytest.mark.slow),
        pytest.param(["evaluate.py", "run={run}", "device=cpu"], marks=pytest.mark.slow),
    ],
)
def test_closed_pipe_is_quiet(command: list[str], trained: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, *(part.format(run=trained) for part in command)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.wait(timeout=150)
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors
    assert "Exception ignored" not in errors
