from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal_attn.__main__ import main


def write(folder: Path, *lines: dict[str, Any]) -> Path:
    (folder / "truth.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "truth.jsonl"


def measured(maps: Path, truth: Path) -> dict[str, float]:
    output = truth.parent / "measured"
    assert main(["measure", str(maps), str(truth), "--output", str(output)]) == 0
    assert (output / "index.html").read_text().startswith("<!doctype html>")
    return json.loads((output / "metrics.json").read_text())


def test_word_times_of_a_ctm_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "u.wav", np.zeros(16_000), 16_000)
    (tmp_path / "words.ctm").write_text(";; Whisper\nu 1 0.10 0.20 go 0.9\nu 1 0.36 0.30 home\nv 1 0.0 1.0 stop\n")
    truth = write(
        tmp_path,
        {"key": "u", "audio": "u.wav", "text": "go home", "times": [[0.1, 0.3], [0.3, 0.6]]},
        {"key": "v", "text": "stop", "times": [[0.02, 0.9]]},
    )
    found = measured(tmp_path / "words.ctm", truth)
    assert found["onset_error_ms"] == pytest.approx(20)
    assert found["onset_mean_error_ms"] == pytest.approx((0 + 60 + 20) / 3)
    assert found["word_times_f1_50_ms"] == pytest.approx(1 / 3)
    assert found["word_times_f1_100_ms"] == pytest.approx(1)
    assert found["onset_even_ms"] > found["onset_error_ms"]


def test_maps_over_a_picture_by_the_words_of_a_phrase(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "red").save(tmp_path / "1.jpg")
    maps = np.full((3, 2, 4), 0.01)
    maps[2, 0, 3] = 1.0  # the star, at the top right
    np.savez(tmp_path / "maps.npz", **{"1": maps, "2": maps[:2], "other": maps})
    boxes = {"2": [[0.75, 0.0, 1.0, 0.5]]}
    truth = write(
        tmp_path,
        {"key": "1", "image": "1.jpg", "text": "a red star", "boxes": boxes},
        {"key": "2", "text": "a red star", "boxes": boxes},
        {"key": "3", "text": "a red star", "boxes": {"7": [[0, 0, 1, 1]]}},
    )
    found = measured(tmp_path / "maps.npz", truth)
    assert (found["pointing_accuracy"], found["pointing_uniform"]) == (1, 1 / 8)
    assert found["box_mass_gain"] == pytest.approx(1 / 1.07 - 1 / 8)
    assert (found["num_examples"], found["num_skipped"]) == (1, 3)
    skipped = (tmp_path / "measured" / "skipped.txt").read_text()
    assert "expected a map of numbers for each of the 3 words" in skipped  # 2 has maps for two
    assert "truth.jsonl:3" in skipped
    assert "other\thas no line" in skipped


def test_maps_over_time_are_bounded_in_the_sound(tmp_path: Path) -> None:
    waveform = np.zeros(16_000)
    waveform[4_800:9_600] = np.random.default_rng(0).standard_normal(4_800) / 10
    soundfile.write(tmp_path / "u.wav", waveform, 16_000)
    maps = np.zeros((1, 25))
    maps[0, 5:14] = 1 / 9  # begins 100 ms too early
    np.savez(tmp_path / "maps.npz", u=maps)
    line = {"key": "u", "text": "go", "times": [[0.3, 0.6]], "step_seconds": 0.04}
    assert measured(tmp_path / "maps.npz", write(tmp_path, line))["onset_error_ms"] == pytest.approx(100)
    line |= {"audio": "u.wav", "by": "an aligner"}
    assert measured(tmp_path / "maps.npz", write(tmp_path, line))["aligner_onset_error_ms"] <= 20


@pytest.mark.parametrize(
    ("content", "message"),
    [("u 1 0.1 word\n", "words.ctm:1"), ("u 1 zero 0.1 word\n", "words.ctm:1")],
)
def test_a_damaged_ctm(tmp_path: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.ctm").write_text(content)
    truth = write(tmp_path, {"key": "u", "text": "go", "times": [[0.3, 0.6]]})
    assert main(["measure", str(tmp_path / "words.ctm"), str(truth), "--output", str(tmp_path / "m")]) != 0
    assert message in capsys.readouterr().err


def test_files_that_are_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "maps.npz").write_text("no archive")
    truth = write(tmp_path, {"key": "u", "text": "go"})
    assert main(["measure", str(tmp_path / "maps.npz"), str(truth)]) != 0
    assert "expected an npz of arrays by key" in capsys.readouterr().err
    assert main(["measure", str(tmp_path / "maps.npz"), str(write(tmp_path, {"text": "go"}))]) != 0
    assert "has no usable line" in capsys.readouterr().err


@pytest.mark.slow
def test_maps_of_a_hugging_face_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ViTConfig(**shape, image_size=32, patch_size=8, attn_implementation="eager")
    model = transformers.ViTModel(config).eval()
    with torch.no_grad():
        layers = model(torch.rand(1, 3, 32, 32), output_attentions=True).attentions
    patches = layers[-1][0].mean(0)[0, 1:].reshape(1, 4, 4)  # of the class token
    np.savez(tmp_path / "maps.npz", photo=patches.numpy())
    truth = write(tmp_path, {"key": "photo", "text": "dog", "boxes": {"0": [[0.0, 0.0, 0.5, 1.0]]}})
    found = measured(tmp_path / "maps.npz", truth)
    assert found["pointing_uniform"] == 0.5
    assert 0 < found["box_mass_gain"] + 0.5 < 1
