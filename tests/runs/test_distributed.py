"""Training in two processes on the CPU, as trainer=ddp starts them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multimodal_attn.runs.evaluate import evaluate
from tests.runs.test_command_line import python
from tests.runs.test_training import SHAPES, compose, lines

DDP = [*SHAPES, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.eval_batch_size=3"]


def train(folder: Path, *overrides: str) -> None:
    result = python("train.py", *overrides, f"hydra.run.dir={folder}", f"cache_dir={folder.parent}")
    assert result.returncode == 0, result.stdout + result.stderr


def test_two_processes_train_as_one_run(tmp_path: Path) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    train(whole, *DDP, "trainer.max_epochs=2")
    train(stopped, *DDP, "trainer.max_epochs=1", "logger=[files,wandb]")
    steps = torch.load(stopped / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert steps == 4  # of 8 batches

    # One run, written by one process.
    assert len(list((stopped / "wandb").glob("offline-run-*"))) == 1
    assert sorted(path.name for path in stopped.glob("*.log")) == ["train.log"]
    assert [line["epoch"] for line in lines(stopped) if "train/step_seconds" in line] == [0]

    # Two processes score the validation set as one does.
    found = [line for line in lines(stopped) if "val/loss" in line][-1]
    alone = evaluate(compose("evaluate", f"run={stopped}", "checkpoint=last", "search=greedy", "device=cpu"))
    for name in ("bleu_4", "cider_d", "pointing_accuracy", "attention_entropy"):
        assert found[f"val/{name}"] == pytest.approx(alone[name], abs=1e-6), name

    result = python("train.py", f"resume={stopped}", "trainer.max_epochs=2")
    assert result.returncode == 0, result.stdout + result.stderr
    expected, resumed = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (whole, stopped)
    )
    for name, value in expected.items():
        assert torch.equal(value, resumed[name]), name
