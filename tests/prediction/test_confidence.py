from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from multimodal_attn.prediction.confidence import (
    FILE,
    confidences,
    fit_temperature,
    read_temperature,
    word_log_probs,
    write_temperature,
)


def test_a_temperature_moves_all_words_towards_one_half_and_keeps_their_order() -> None:
    log_probs = np.log([0.99, 0.9, 0.5, 0.2])
    assert confidences(log_probs, 1.0) == pytest.approx([0.99, 0.9, 0.5, 0.2])
    found = confidences(log_probs, 2.0)
    assert found[1] == pytest.approx(3 / 4)  # odds of 9, to the power of one half
    assert found[2] == pytest.approx(0.5)
    assert (np.diff(found) < 0).all()
    assert np.isfinite(confidences(np.array([0.0, -1000.0]), 0.1)).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_words_were_made_with_is_found(temperature: float) -> None:
    random = np.random.default_rng(0)
    log_probs = np.log(random.uniform(0.02, 0.98, size=20_000))
    right = random.random(20_000) < confidences(log_probs, temperature)
    assert fit_temperature(log_probs, right) == pytest.approx(temperature, rel=0.05)


def test_words_that_are_all_right_make_nothing_certain() -> None:
    log_probs = np.log([0.9, 0.9])
    found = confidences(log_probs, fit_temperature(log_probs, np.array([True, True])))
    assert found == pytest.approx(np.full(2, 3 / 4))  # of two words, and one that might have been wrong
    assert fit_temperature(log_probs, np.array([False, False])) == pytest.approx(20)  # the end of the range


def test_words_of_several_tokens() -> None:
    assert word_log_probs([-0.5, -0.25, -1.0], [(0, 2), (2, 3)]) == [-0.75, -1.0]


def test_a_temperature_is_kept_with_its_run(tmp_path: Path) -> None:
    assert read_temperature(tmp_path) is None
    write_temperature(tmp_path, 2.5, 100)
    assert read_temperature(tmp_path) == 2.5
    for content in ("", "[]", '{"temperature": "x"}', '{"temperature": 0}', json.dumps({"temperature": None})):
        (tmp_path / FILE).write_text(content)
        with pytest.raises(ValueError, match=r"calibration\.json: holds no temperature"):
            read_temperature(tmp_path)
