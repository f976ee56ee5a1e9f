"""Runs that predict together: evaluated, asked about a photo, and refused where they do not go together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal_attn.__main__ import main
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import load
from tests.runs.tiny import SHAPES, compose, run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("ensemble")
    overrides = [*SHAPES, "trainer.max_steps=4", "trainer.limit_val_batches=0", "callbacks.attention_maps=null"]
    for seed in range(2):
        run(folder / f"seed_{seed}", *overrides, f"seed={seed}")
    return [folder / f"seed_{seed}" for seed in range(2)]


def evaluated(*overrides: str) -> dict[str, float]:
    return evaluate(compose("evaluate", *overrides, "checkpoint=last", "device=cpu", "page_examples=2"))


def test_ensemble_is_evaluated_beside_its_first_run(runs: list[Path]) -> None:
    alone = evaluated(f"run={runs[0]}")
    together = evaluated(f"run={runs[0]}", f"ensemble=[{runs[1]}]")
    assert together["num_parameters"] == 2 * alone["num_parameters"]
    folder = runs[0] / "evaluation"
    assert json.loads((folder / "val_last" / "metrics.json").read_text()).items() >= alone.items()
    assert json.loads((folder / "val_ensemble_last" / "metrics.json").read_text()).items() >= together.items()
    lines = (folder / "val_ensemble_last" / "predictions.jsonl").read_text().splitlines()
    weights = np.load(folder / "val_ensemble_last" / "attention.npz")
    for prediction in map(json.loads, lines):
        assert len(weights[prediction["attention"]]) == len(prediction["tokens"]) == len(prediction["gate"])


def test_a_run_with_itself_scores_as_it_does_alone(runs: list[Path]) -> None:
    alone, twice = evaluated(f"run={runs[0]}"), evaluated(f"run={runs[0]}", f"ensemble=[{runs[0]}]")
    assert twice == pytest.approx(alone | {"num_parameters": 2 * alone["num_parameters"]}, abs=1e-5)


def test_a_photo_is_captioned_by_both(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((40, 50, 3), 200, np.uint8)).save(photo)
    assert main(["predict", str(runs[0]), str(photo), "--with", str(runs[1])]) == 0
    assert capsys.readouterr().out.startswith(f"{photo}\t")


def test_runs_that_do_not_go_together_are_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="faithfulness: true; expected false for an ensemble"):
        evaluated(f"run={runs[0]}", f"ensemble=[{runs[1]}]", "faithfulness=true")
    for expected, change in ((r"has another tokenizer \(WordTokenizer of", "words"), ("'fit': 'crop'", "size")):
        content = torch.load(runs[1] / "checkpoints" / "last.ckpt", weights_only=True)
        if change == "size":
            content["hyper_parameters"]["config"]["data"]["fit"] = "crop"
        else:
            words = content["hyper_parameters"]["tokenizer"]["words"]
            words[0], words[1] = words[1], words[0]
        other = tmp_path / change / "checkpoints" / "last.ckpt"
        other.parent.mkdir(parents=True)
        torch.save(content, other)
        with pytest.raises(ValueError, match=rf"ensemble: .*{expected}"):
            load(runs[0], ensemble=[tmp_path / change], checkpoint="last")
