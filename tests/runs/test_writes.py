"""Full disks, torn files and failures half-way: what a run had stays, and what is left is enough to go on."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from multimodal_attn import writing
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.resumption import resumed_settings
from multimodal_attn.runs.train import train
from tests.runs.test_exactness import FEW, assert_equal, compared
from tests.runs.tiny import compose, lines, run, trained


def fill_disk(patch: pytest.MonkeyPatch, full: Callable[[Path, int], bool]) -> list[Path]:
    """Lets writes of files fail where ``full`` (path, number of the write) says so; gives the paths of all writes."""
    written: list[Path] = []
    replace = os.replace

    def replaced(source: Path, path: Path) -> None:
        written.append(Path(path))
        if full(Path(path), len(written)):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, path)

    patch.setattr(writing.os, "replace", replaced)
    return written


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory, *FEW)


def test_full_disk_leaves_the_last_checkpoint(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        seen: list[Path] = []

        def full(path: Path, number: int) -> bool:  # from the second validation on
            seen.append(path)
            return path.suffix == ".ckpt" and [one.name for one in seen].count("last.ckpt") > 1

        fill_disk(patch, full)
        with pytest.raises(OSError, match=r"No space left.*last\.ckpt'") as error:
            run(folder, *FEW)
    last = folder / "checkpoints" / "last.ckpt"
    assert error.value.filename == str(last)
    assert {path.name for path in last.parent.iterdir()} <= {"best.ckpt", "last.ckpt"}
    assert [line["step"] for line in lines(folder) if "val/loss" in line] == [4, 9]
    run(folder, resume=folder)
    assert_equal(compared(folder), compared(whole))


def test_torn_checkpoint_is_replaced_by_the_other(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    last, best = (folder / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    for torn, other, prefer in ((last, best, "last"), (best, last, "best")):
        kept = torn.read_bytes()
        torn.write_bytes(kept[: len(kept) // 2])
        caplog.clear()
        if prefer == "last":
            config = compose("train", f"run_dir={folder}", f"resume={folder}", f"cache_dir={tmp_path}")
            assert resumed_settings(config, [])["resume"] == str(other)
        else:
            metrics = evaluate(compose("evaluate", f"run={folder}", "search=greedy", "device=cpu", "page_examples=1"))
            assert metrics["num_examples"] == 8
        (message,) = (
            record.getMessage() for record in caplog.records if "is taken in its place" in record.getMessage()
        )
        assert message.startswith(str(torn))
        assert f"{other} is taken in its place" in message
        torn.write_bytes(kept)


def test_torn_last_checkpoint_does_not_keep_a_run_from_going_on(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    run(folder, resume=folder)
    found, expected = compared(folder), compared(whole)
    assert all((found[name] == value).all() for name, value in expected.items() if name.startswith("state_dict"))


def test_weights_alone_cannot_be_resumed(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(whole / "model.safetensors", folder)
    settings = compose("train", f"run_dir={folder}", f"cache_dir={tmp_path}") | {"resume": str(folder)}
    with pytest.raises(ValueError, match=r"model\.safetensors' holds the weights alone"):
        train(settings, folder)


def test_evaluation_that_fails_leaves_the_one_before(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder = tmp_path / "run"
    shutil.copytree(whole, run_folder)
    folder = run_folder / "evaluation" / "val_it"
    overrides = [f"run={run_folder}", "tag=it", "device=cpu", "page_examples=1"]
    overrides += ["faithfulness=true", "faithfulness_examples=1", "search.max_length=6"]
    with monkeypatch.context() as patch:
        names = [path.name for path in fill_disk(patch, lambda path, number: False)]
        evaluate(compose("evaluate", *overrides))
        names = [path.name for path in fill_disk(patch, lambda path, number: False)]
    (folder / "notes.txt").write_text("of the user's own")
    (folder / "words").mkdir()
    (folder / "words" / "old.srt").write_text("of an earlier evaluation")
    before = contents(run_folder)
    files = ["faithfulness.json", "faithfulness.png", "metrics.json", "predictions.jsonl", "attention.npz"]
    files += ["skipped.txt", "index.html", "config.yaml", "reliability.png", "statistics.npz", "environment.json"]
    assert set(before) >= {f"evaluation/val_it/{name}" for name in files}, names
    for name in (*files[:7], files[-1]):  # the first, the last, and those of which others are made
        with monkeypatch.context() as patch:
            fill_disk(patch, lambda path, number, name=name: path.name == name)
            with pytest.raises(OSError, match="No space left") as error:
                evaluate(compose("evaluate", *overrides, "search.max_length=4"))
        assert Path(error.value.filename).name == name
        assert contents(run_folder) == before
    metrics = evaluate(compose("evaluate", *overrides[:4], "search.max_length=4"))
    after = contents(folder)
    assert json.loads(after["metrics.json"]).items() >= metrics.items()
    assert set(after) == {*files[2:], "notes.txt"}
    assert [path.name for path in folder.parent.iterdir()] == ["val_it"]


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors", "skipped.txt", "attention.html"])
def test_every_write_of_a_training_names_its_file(
    name: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    overrides = [*FEW, "trainer.max_epochs=1", "callbacks.attention_maps.num_examples=1"]
    if name == "skipped.txt":
        monkeypatch.setattr(
            "multimodal_attn.training.callbacks.skipped_files.SkippedFiles.on_train_start",
            lambda self, *arguments: self.reasons.update(file="is broken"),
            raising=False,
        )
    fill_disk(monkeypatch, lambda path, number: path.name == name)
    with pytest.raises(OSError, match="No space left") as error:
        run(folder, *overrides)
    assert error.value.filename == str(folder / name)
    assert not (folder / name).exists()
