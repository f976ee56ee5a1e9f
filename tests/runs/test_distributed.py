"""Training in two processes on the CPU, as trainer=ddp starts them; evaluating and predicting as torchrun does."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal_attn.commands.shards import write_shards
from multimodal_attn.data.datasets.shapes import Shapes
from multimodal_attn.runs.evaluations.evaluate import evaluate
from tests.commands.process import forked, python
from tests.runs.tiny import SHAPES, compose, lines, run

pytestmark = pytest.mark.timeout(600)  # each starts some processes, on whatever else the machine is doing
DDP = [*SHAPES, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.eval_batch_size=3"]


def train(folder: Path, *overrides: str) -> None:
    result = python("train.py", *overrides, f"hydra.run.dir={folder}", f"cache_dir={folder.parent}")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_a_process_without_a_validation_batch_is_an_error(tmp_path: Path) -> None:
    result = python("train.py", *DDP, "data.eval_batch_size=8", f"hydra.run.dir={tmp_path}", f"cache_dir={tmp_path}")
    assert result.returncode == 2, result.stderr
    assert "error: data.eval_batch_size: batches of 8 of 8 validation examples do not go round 2" in result.stderr


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


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # sums of more threads differ in their last digits


@pytest.fixture(scope="module")
def run_of_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose validation set has eight scenes, of which the fifth is damaged."""
    folder = tmp_path_factory.mktemp("shared")
    write_shards([SHAPES[0], "data.image_size=48"], folder / "shards", ["train", "val"])
    tar = folder / "shards" / "val-00000.tar"
    with tarfile.open(tar) as members:
        damaged = members.getmember("000000004.png")
    content = bytearray(tar.read_bytes())
    content[damaged.offset_data + 100] ^= 255
    tar.write_bytes(content)
    run(
        folder / "run",
        "data=shards",
        f"data.root={folder / 'shards'}",
        "data.texts_per_source=1",
        "trainer.max_epochs=2",
        *SHAPES[1:],
    )
    return folder / "run"


def test_two_processes_evaluate_as_one(run_of_shards: Path, tmp_path: Path) -> None:
    arguments = [f"run={run_of_shards}", "batch_size=3", "page_examples=2", "device=cpu"]
    arguments += ["search=sampling", "search.max_length=12", "tag=it"]  # whose texts depend on the keys alone
    files = {}
    for name, evaluated in (
        ("one", lambda: forked("evaluate", *arguments)),
        ("two", lambda: python(*TORCHRUN, "evaluate.py", *arguments, env=ONE_THREAD)),
    ):
        result = evaluated()
        assert result.returncode == 0, result.stdout + result.stderr
        assert result.stdout.count("attention page:") == 1  # the second process has decoded, and nothing else
        folder = tmp_path / name
        shutil.move(run_of_shards / "evaluation" / "val_it", folder)
        others = ("attention.npz", "statistics.npz", "environment.json")
        files[name] = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in others}
    assert files["one"].keys() == files["two"].keys()
    for name, content in files["one"].items():
        assert content == files["two"][name], name
    metrics = json.loads(files["one"]["metrics.json"])
    assert (metrics["num_examples"], metrics["num_skipped"]) == (7, 1)
    assert "pointing_accuracy" in metrics
    found = [json.loads(line) for line in files["two"]["predictions.jsonl"].splitlines()]
    assert [p["key"] for p in found] == [f"val-{index:06d}" for index in range(8) if index != 4]
    one, two = (np.load(tmp_path / name / "attention.npz") for name in ("one", "two"))
    for prediction in found:
        assert np.array_equal(one[prediction["attention"]], two[prediction["attention"]])


@pytest.mark.slow
def test_two_processes_predict_as_one(run_of_shards: Path, tmp_path: Path) -> None:
    scenes = Shapes("test", 70, image_size=48)
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(70):  # more than two processes take at a time
        pixels = scenes[index].source.permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(photos / f"{index:02d}.png")
    for name in ("33.png", "66.png"):
        (photos / name).write_bytes(b"torn")
    page = tmp_path / "page.html"
    arguments = ["-m", "multimodal_attn", "predict", str(run_of_shards), str(photos), "--width=2"]
    arguments += ["--page", f"--page-path={page}"]
    alone = python(*arguments, env=ONE_THREAD)
    assert alone.returncode == 0, alone.stderr
    shown = page.read_bytes()
    together = python(*TORCHRUN, *arguments, env=ONE_THREAD)
    assert together.returncode == 0, together.stderr
    assert together.stdout == alone.stdout
    assert together.stdout.count(".png\t") == 68
    assert [line for line in together.stderr.splitlines() if "skipped" in line] == alone.stderr.splitlines()
    assert page.read_bytes() == shown


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are looked up in /proc")
def test_group_ends_with_its_threads() -> None:
    # What is imported while the group lives must not keep it: its threads abort a process that ends now and then.
    program = """
from pathlib import Path
from multimodal_attn.processes import joined
from multimodal_attn.distributed import gather

def of_the_group():
    return [task.name for task in Path("/proc/self/task").iterdir() if "gloo" in (task / "comm").read_text()]

with joined():
    import multimodal_attn.prediction.predictor, multimodal_attn.runs.evaluations.evaluate
    import multimodal_attn.inspection.page.page
    gather(1)
    print(len(of_the_group()) > 0)
print(len(of_the_group()))
"""
    alone = {"TORCHELASTIC_RUN_ID": "test", "RANK": "0", "WORLD_SIZE": "1"}
    alone |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    result = python("-c", program, env={**os.environ, **alone})
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["True", "0"]
