from __future__ import annotations

import numpy as np
from PIL import Image

from multimodal_attn.inspection.table import example_table
from multimodal_attn.inspection.views.base import Sound
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Grid, Timeline


def record(layout: Grid | Timeline, source: np.ndarray) -> Prediction:
    weights = np.full((2, 1, 4), 0.25, dtype=np.float32)
    words = [("a", 0, 1), ("dog", 1, 2)]
    return Prediction("x", source, layout, ["a", "dog"], words, weights, "a dog", ["a cat", "dogs"], -0.5, [])


def test_a_recording_can_be_heard_and_has_its_errors() -> None:
    waveform = np.zeros(1600, dtype=np.float32)
    columns, (row,) = example_table([record(Timeline(0.025), waveform)], 0.5)
    cells = dict(zip(columns, row, strict=True))
    assert isinstance(cells["attention"], Image.Image)
    assert isinstance(cells["recording"], Sound)
    assert cells["recording"].sample_rate == 16_000
    assert (cells["text"], cells["references"], cells["wer"], cells["entropy"]) == ("a dog", "a cat\ndogs", 0.5, 1)


def test_a_photo_has_no_column_of_what_it_lacks() -> None:
    columns, (row,) = example_table([record(Grid(2, 2), np.zeros((8, 8, 3), dtype=np.uint8))], 0.5)
    assert {"recording", "wer", "gate", "hits"}.isdisjoint(columns)
    assert {"attention", "rouge_l", "score", "words"} <= set(columns)
    assert len(row) == len(columns)
