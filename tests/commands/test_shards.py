"""A tiny real training from shards, through the commands that a user types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from multimodal_attn.__main__ import main
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import load_run
from tests.runs.tiny import SHAPES, compose, run

SOURCE = [value for value in SHAPES if value.startswith("data.num_examples")]
PARTS = [value for value in SHAPES if not value.startswith("data.num_examples")]


def test_training_from_shards_is_training_from_their_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = tmp_path / "shards"
    arguments = ["shards", *SOURCE, "data.image_size=48", "--output", str(shards), "--shard-megabytes", "0.1"]
    assert main(arguments) == 0
    assert "train: 64 examples in 6 shards\nval: 8 examples in 1 shards\n" in capsys.readouterr().out
    assert main(["shards", "--verify", str(shards)]) == 0
    assert "files are as they were written" in capsys.readouterr().out

    settings = ["data.texts_per_source=2", "trainer.max_epochs=2"]
    direct, streamed = tmp_path / "direct", tmp_path / "streamed"
    run(direct, *SHAPES, *settings)
    run(streamed, "data=shards", f"data.root={shards}", *PARTS, *settings)
    one, other = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (direct, streamed)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)

    # Evaluated from shards that have been moved since.
    shards.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"index.json' is missing"):
        load_run(streamed).data.source("test")
    overrides = [f"run={streamed}", "split=test", "page_examples=1", "search=greedy", "device=cpu"]
    found = evaluate(compose("evaluate", *overrides, f"+data.root={tmp_path / 'moved'}"))
    expected = evaluate(compose("evaluate", f"run={direct}", *overrides[1:]))
    assert found == expected
    assert "pointing_accuracy" in found


def test_language_model_learns_from_shards_of_texts(tmp_path: Path) -> None:
    texts = {"train": "to be or not to be\nthat is the question\n" * 20, "val": "to be that\n"}
    for split, text in texts.items():
        (tmp_path / f"{split}.txt").write_text(text)
    files = [f"data.{split}={tmp_path / split}.txt" for split in texts]
    assert main(["shards", "data=text", *files, "--splits", "train,val", "--output", str(tmp_path / "shards")]) == 0
    small = ["experiment=language_model", "language_model.hidden_dim=16", "trainer.max_epochs=1"]
    where = ["data=shards", f"data.root={tmp_path / 'shards'}"]
    run(tmp_path / "run", *small, *where, "trainer.accelerator=cpu")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert any("val/perplexity" in json.loads(line) for line in lines)


def test_errors_are_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shards", "data=flickr8k", "data.root=/nowhere", "--output", str(tmp_path / "out")]) == 2
    assert "error: data.root: '/nowhere' has no Flickr8k_text" in capsys.readouterr().err
    assert main(["shards", "--verify", str(tmp_path)]) == 2
    assert f"error: data.root: '{tmp_path}/index.json' is missing" in capsys.readouterr().err
