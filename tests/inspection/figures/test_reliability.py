from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from multimodal_attn.evaluation.confidence import Confidences
from multimodal_attn.inspection.figures.png import as_png
from multimodal_attn.inspection.figures.reliability import draw_reliability


def test_a_dot_stands_where_its_words_are_right_as_often_as_it_says() -> None:
    words = Confidences([0, 0, 0, 1], np.log([0.9, 0.9, 0.9, 0.2]).tolist(), [True, True, False, False])
    figure = draw_reliability(words.calibrated(temperature=1.0))
    plain, calibrated = figure.axes
    dots = plain.collections[-1]
    places = dots.get_offsets()[~np.isnan(np.asarray(dots.get_offsets())).any(axis=1)]
    assert np.asarray(places) == pytest.approx(np.array([[0.2, 0.0], [0.9, 2 / 3]]))
    sizes = dots.get_sizes()[[3, 13]]
    assert (sizes[1] - 12) / (sizes[0] - 12) == pytest.approx(3)  # three words to one
    assert plain.get_title() == f"Probability that the model gave, error {100 * (0.7 + 0.2) / 4:.1f} %"
    assert calibrated.get_title().startswith("Confidence, error")
    assert Image.open(io.BytesIO(as_png(figure))).width > 800
