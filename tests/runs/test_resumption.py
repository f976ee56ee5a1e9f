"""Runs that go on: exactly, elsewhere, after any interruption; what they refuse, and what their checkpoints hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from multimodal_attn.prediction.location import find_checkpoint
from multimodal_attn.runs.loading import load
from multimodal_attn.runs.resumption import resumed_settings
from tests.runs.conftest import noisy
from tests.runs.tiny import SHAPES, compose, lines, run, trained, values, weights_of


@pytest.mark.parametrize("stop", ["epoch", "batch"])
def test_resumed_run_equals_the_uninterrupted_one(
    stop: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*SHAPES, "decoder.dropout=0.2", "callbacks.attention_maps.num_examples=0", "trainer.max_epochs=3"]
    whole, broken = trained(tmp_path_factory, *overrides), tmp_path / "broken"
    if stop == "epoch":
        # The schedule must be that of three epochs: stop by hand, not by max_epochs.
        with monkeypatch.context() as patch:
            patch.setattr("multimodal_attn.training.module.Seq2SeqModule.on_train_epoch_start", interrupt_in_epoch(1))
            with pytest.raises(KeyboardInterrupt):
                run(broken, *overrides)
    else:
        with monkeypatch.context() as patch:
            patch.setattr(
                "multimodal_attn.training.module.Seq2SeqModule.on_train_batch_start", interrupt_in_batch(1, 3)
            )
            with pytest.raises(KeyboardInterrupt):
                run(broken, *overrides)
    assert (broken / "checkpoints" / "last.ckpt").is_file()
    run(broken, resume=broken)
    expected, found = weights_of(whole), weights_of(broken)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)
    assert values(broken, "val/cider_d")[-1] == values(whole, "val/cider_d")[-1]


@pytest.mark.parametrize(
    "hook",
    [
        *("on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end"),
        *("on_validation_epoch_end", "on_validation_end", "on_train_epoch_end"),
    ],
)
def test_interrupted_validation_is_done_again(
    hook: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = "data.num_examples={train:24,val:8,test:8}"
    overrides = [*SHAPES, few, "callbacks.attention_maps.num_examples=0", "trainer.max_epochs=2"]
    whole, broken = trained(tmp_path_factory, *overrides), tmp_path / "broken"
    with monkeypatch.context() as patch:
        # The first callback to hear of it: before the checkpoint of this validation is written.
        patch.setattr(f"multimodal_attn.training.callbacks.collapse.CollapseDetector.{hook}", interrupt, raising=False)
        with pytest.raises(KeyboardInterrupt):
            run(broken, *overrides)
    run(broken, resume=broken)
    for name, tensor in weights_of(whole).items():
        torch.testing.assert_close(weights_of(broken)[name], tensor, msg=name)
    assert values(broken, "val/cider_d")[-2:] == values(whole, "val/cider_d")


def test_a_run_keeps_its_logger_and_callbacks_however_often_it_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = run(folder, *SHAPES, "logger=wandb", "callbacks=[default,ema]", "trainer.max_epochs=1")
    for epochs in (2, 3):
        resumed = run(folder, f"trainer.max_epochs={epochs}", resume=folder)
        assert resumed["choices"] == first["choices"]
        assert resumed["callbacks"].keys() == first["callbacks"].keys()
    runs = sorted((folder / "wandb").glob("offline-run-*"))
    assert len(runs) == 3
    assert {path.name.rpartition("-")[2] for path in runs} == {(folder / "wandb" / "wandb.id").read_text()}
    assert [line["epoch"] for line in lines(folder) if "val/loss" in line] == [0, 1, 2]


def test_a_run_that_was_moved_keeps_its_best_checkpoint(tmp_path: Path) -> None:
    first, moved = tmp_path / "first", tmp_path / "moved"
    run(first, *SHAPES, "trainer.max_steps=8", "data.num_examples={train:64,val:2,test:2}")
    last = torch.load(first / "checkpoints" / "last.ckpt", weights_only=True)
    for name, state in last["callbacks"].items():
        if "ModelCheckpoint" in name and state["best_model_score"] is not None:
            score = torch.tensor(9.0)  # which no later one reaches
            state.update(best_model_score=score, kth_value=score)
            state["best_k_models"] = dict.fromkeys(state["best_k_models"], score)
    torch.save(last, first / "checkpoints" / "last.ckpt")
    best = (first / "checkpoints" / "best.ckpt").read_bytes()
    first.rename(moved)
    run(moved, "trainer.max_steps=16", resume=moved)
    assert torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 16
    assert (moved / "checkpoints" / "best.ckpt").read_bytes() == best


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


def interrupt_in_epoch(epoch: int):
    def on_train_epoch_start(self) -> None:
        if self.current_epoch == epoch:
            raise KeyboardInterrupt

    return on_train_epoch_start


def interrupt_in_batch(epoch: int, batch: int):
    from multimodal_attn.training.module import Seq2SeqModule

    original = Seq2SeqModule.on_train_batch_start

    def on_train_batch_start(self, examples, index: int) -> None:
        if (self.current_epoch, index) == (epoch, batch):
            raise KeyboardInterrupt
        original(self, examples, index)

    return on_train_batch_start


def test_resumed_speech_equals_the_uninterrupted_one(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics of frames, distortions and batches by duration; trying the largest batch once more leaves no trace."""
    overrides = noisy(notes)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, *overrides)
    with monkeypatch.context() as patch:
        patch.setattr("multimodal_attn.training.module.Seq2SeqModule.on_train_batch_start", interrupt_in_batch(1, 2))
        with pytest.raises(KeyboardInterrupt):
            run(broken, *overrides)
    run(broken, resume=broken)
    expected, found = weights_of(whole), weights_of(broken)
    assert expected["model.encoder.front_end.count"] > 0
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)


def test_resuming_refuses_another_model(picture_run: Path) -> None:
    config = compose("train", f"resume={picture_run}", "attention=dot", "run_dir=x", "cache_dir=x")
    with pytest.raises(ValueError, match="attention=dot: a resumed run keeps its parts"):
        resumed_settings(config, [f"resume={picture_run}", "attention=dot"])


def test_resuming_takes_single_values(picture_run: Path) -> None:
    overrides = [f"resume={picture_run}", "trainer.max_epochs=7"]
    config = resumed_settings(compose("train", *overrides, "run_dir=x", "cache_dir=x"), overrides)
    assert config["trainer"]["max_epochs"] == 7
    assert config["data"]["image_size"] == 48


def test_checkpoint_is_plain_and_rebuilds_the_run(picture_run: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    assert set(content["hyper_parameters"]) == {"config", "tokenizer"}
    restored = load(picture_run)
    for name, tensor in restored.model.state_dict().items():
        torch.testing.assert_close(tensor, content["state_dict"][f"model.{name}"])


def test_moved_run_goes_on_where_it_is_now(picture_run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(picture_run, moved)
    before = len(lines(picture_run))
    run(moved, "trainer.max_epochs=3", resume=moved)
    assert len(lines(picture_run)) == before
    assert values(moved, "val/loss")[-1] != values(picture_run, "val/loss")[-1]


def test_what_the_checkpoint_restores_cannot_be_changed(picture_run: Path) -> None:
    for override in ("optimizer.lr=1", "+attention=dot", "~callbacks.early_stopping", "experiment=other"):
        with pytest.raises(ValueError, match="a resumed run keeps its parts"):
            resumed_settings(compose("train", f"resume={picture_run}", "run_dir=x", "cache_dir=x"), [override])


def test_truncated_checkpoint_is_named(picture_run: Path, tmp_path: Path) -> None:
    whole = find_checkpoint(picture_run).read_bytes()
    path = tmp_path / "torn.ckpt"
    for size in (len(whole) // 2, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"torn.ckpt is not a readable checkpoint"):
            load(path)


def test_checkpoint_without_a_weight_is_refused(picture_run: Path, tmp_path: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    del content["state_dict"]["model.decoder.vocabulary.bias"]
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(ValueError, match=r"best.ckpt: it has no weight decoder.vocabulary.bias; expected one of shape"):
        load(tmp_path / "best.ckpt")


def test_other_vocabulary_is_refused_with_both_sizes(picture_run: Path, tmp_path: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    words = content["hyper_parameters"]["tokenizer"]["words"]
    content["hyper_parameters"]["tokenizer"]["words"] = words[:-3]
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    rows = content["state_dict"]["model.decoder.vocabulary.weight"].shape[0]
    with pytest.raises(ValueError, match=rf"vocabulary of {rows} tokens, but its tokenizer has {rows - 3}"):
        load(path)


def test_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the folder of a trained run"):
        load(tmp_path / "nowhere")
