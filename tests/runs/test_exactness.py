"""A run that stops anywhere and is resumed ends with the weights, optimizer and metrics of one that did not stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from multimodal_attn.data.datasets.shapes import Shapes
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch
from tests.runs.tiny import SHAPES, lines, run, trained

FEW = [
    *SHAPES,
    "data.num_examples={train:40,val:8,test:8}",
    "decoder.dropout=0.2",
    "callbacks.attention_maps.num_examples=0",
    "trainer.log_every_n_steps=1",
    "trainer.max_epochs=3",
]
BATCHES = 5  # in an epoch
CHANGES = {
    "plain": [],
    "accumulated": ["trainer.accumulate_grad_batches=2"],
    "averaged": ["callbacks=[default,ema]", "callbacks.ema.decay=0.9"],
    "workers": ["data.num_workers=2"],
    "often": ["+callbacks.last_checkpoint.every_n_train_steps=1"],
    "half": ["+trainer.val_check_interval=0.5"],
    "grouped": ["trainer.accumulate_grad_batches=2", "+trainer.val_check_interval=0.5"],
    "astride": ["trainer.accumulate_grad_batches=3", "+trainer.val_check_interval=0.5"],
    "seldom": ["+trainer.check_val_every_n_epoch=2", "trainer.max_epochs=4"],
}


def compared(folder: Path) -> dict[str, Any]:
    """What must be equal, flat: everything that a checkpoint holds of the training, and the last of each metric."""
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    found: dict[str, Any] = {"global_step": saved["global_step"], "epoch": saved["epoch"]}
    for part in ("state_dict", "current_model_state", "averaging_state"):
        found |= {f"{part}.{name}": tensor for name, tensor in saved.get(part, {}).items()}
    (optimizer,) = saved["optimizer_states"]
    for number, state in optimizer["state"].items():
        found |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    found["schedule"] = saved["lr_schedulers"]
    (found["patience"],) = (state["wait_count"] for state in saved["callbacks"].values() if "wait_count" in state)
    for line in lines(folder):
        found |= {f"step {line['step']} {name}": value for name, value in line.items() if name not in TIMES}
    return found


TIMES = ("step", "train/step_seconds", "train/peak_memory_mb")


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        same = torch.equal(found[name], value) if isinstance(value, torch.Tensor) else found[name] == value
        assert same, (name, found[name], value)


@pytest.fixture
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    def of(change: str) -> dict[str, Any]:
        change = "plain" if change == "workers" else change  # workers make no difference
        return compared(trained(tmp_path_factory, *FEW, *CHANGES[change]))

    return of


def stop(patch: pytest.MonkeyPatch, hook: str, epoch: int, batch: int, error: type[BaseException]) -> None:
    """Lets a hook of a callback raise at a batch: ``on_train_batch_end`` and the like."""
    raised = []

    def at(self: Any, trainer: pl.Trainer, *arguments: Any) -> None:
        place = trainer.fit_loop.epoch_loop.batch_progress.current.ready - 1
        if not raised and (trainer.current_epoch, place) == (epoch, batch):
            raised.append(place)
            raise error

    patch.setattr(f"multimodal_attn.training.callbacks.largest_batch.TryLargestBatch.{hook}", at, raising=False)


PLACES = [
    *(
        (change, hook, 1, batch)
        for change in ("plain", "accumulated")
        for hook in ("on_train_batch_start", "on_after_backward", "on_before_optimizer_step", "on_train_batch_end")
        for batch in (1, 3, BATCHES - 1)
    ),
    *(("accumulated", hook, 0, 2) for hook in ("on_train_batch_start", "on_train_batch_end")),
    *(("averaged", hook, 1, 2) for hook in ("on_train_batch_start", "on_after_backward", "on_train_batch_end")),
    ("averaged", "on_validation_batch_start", 1, BATCHES - 1),
    ("averaged", "on_validation_epoch_end", 1, BATCHES - 1),
    *(("workers", hook, 1, 2) for hook in ("on_train_batch_start", "on_train_batch_end")),
    ("workers", "on_validation_batch_end", 1, BATCHES - 1),
    *(("half", hook, 1, batch) for hook in ("on_train_batch_end", "on_validation_batch_end") for batch in (1, 3)),
    *(
        (change, hook, 1, batch)
        for change in ("grouped", "astride")
        for hook in ("on_train_batch_start", "on_train_batch_end", "on_validation_batch_end", "on_validation_end")
        for batch in (1, 3)
    ),
    ("astride", "on_train_batch_start", 1, 2),
    *(
        ("seldom", hook, epoch, batch)
        for hook in ("on_train_batch_start", "on_train_batch_end")
        for epoch in (1, 2)
        for batch in (0, BATCHES - 1)
    ),
]
FIRST = [
    ("plain", "on_after_backward", 1, 3),
    ("accumulated", "on_train_batch_end", 1, 2),
    ("workers", "on_train_batch_start", 1, 2),
]


@pytest.mark.parametrize(
    ("change", "hook", "epoch", "batch"), [*FIRST, *(pytest.param(*place, marks=pytest.mark.slow) for place in PLACES)]
)
def test_stopped_run_ends_as_if_it_had_not_stopped(
    change: str,
    hook: str,
    epoch: int,
    batch: int,
    uninterrupted: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = uninterrupted(change)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop(patch, hook, epoch, batch, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run(folder, *FEW, *CHANGES[change])
    run(folder, resume=folder)
    assert_equal(compared(folder), expected)


class Killed(BaseException):
    """No callback saves anything: as if the process were gone."""


@pytest.mark.parametrize(
    ("epoch", "batch"),
    [
        (1, 3),
        *(pytest.param(*place, marks=pytest.mark.slow) for place in ((0, 0), (0, 2), (0, 4), (1, 0), (1, 4), (2, 4))),
    ],
)
def test_checkpoint_of_every_step_goes_on_from_there(
    epoch: int,
    batch: int,
    uninterrupted: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = uninterrupted("often")
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(
            "multimodal_attn.training.callbacks.save_on_exception.SaveOnException.on_exception", lambda *arguments: None
        )
        stop(patch, "on_validation_epoch_start" if batch == BATCHES - 1 else "on_train_epoch_end", epoch, batch, Killed)
        stop(
            patch,
            "on_train_batch_start" if batch < BATCHES - 1 else "on_validation_epoch_start",
            epoch,
            batch + (batch < BATCHES - 1),
            Killed,
        )
        with pytest.raises(Killed):
            run(folder, *FEW, *CHANGES["often"])
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == epoch * BATCHES + batch + 1
    run(folder, resume=folder)
    assert_equal(compared(folder), expected)


@pytest.mark.parametrize("change", ["data.batch_size=4", "data.num_examples.train=48"])
def test_epoch_whose_batches_are_others_now_starts_anew(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop(patch, "on_train_batch_start", 1, 2, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run(folder, *FEW)
    seen: list[tuple[int, str]] = []
    original = Seq2SeqModule.on_train_batch_start

    def note(self: Seq2SeqModule, batch: Batch, index: int) -> None:
        seen.extend((self.current_epoch, key) for key in batch.keys)
        original(self, batch, index)

    monkeypatch.setattr(Seq2SeqModule, "on_train_batch_start", note)
    with pytest.warns(UserWarning, match="after 2 batches of epoch 1, and its batches are others now .* starts anew"):
        run(folder, change, resume=folder)
    number = 48 if "48" in change else 40
    assert Counter(epoch for epoch, _ in seen) == {1: number, 2: number}
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_take_the_batches_in_the_same_order(workers: int) -> None:
    """Two epochs, and the rest of one: the loader fetches ahead before anybody has named the next epoch."""

    def batches(number: int, begin: tuple[int, int], epochs: range) -> list[list[str]]:
        data = DataModule(
            partial(Shapes, num_examples=40, image_size=48), WordTokenizer(), batch_size=8, num_workers=number
        )
        data.fit_tokenizers()
        data.begin_at(*begin)
        loader, found = data.train_dataloader(), []
        iter(loader)  # as Lightning does before it names the epoch
        for epoch in epochs:
            loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
            found += [batch.keys for batch in loader]
        return found

    expected = batches(0, (0, 0), range(2))
    assert batches(workers, (0, 0), range(2)) == expected
    assert batches(workers, (1, 2), range(1, 2)) == expected[7:]
    assert batches(0, (1, 2), range(1, 2)) == expected[7:]
