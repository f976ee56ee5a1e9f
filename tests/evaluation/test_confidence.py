from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.evaluation.confidence import NUM_BINS, Confidences
from multimodal_attn.evaluation.texts.captions import CaptionScores
from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.prediction.confidence import confidences


def words(number: int, temperature: float) -> Confidences:
    """Words of ``number`` examples, three each, of a model whose log odds are ``temperature`` times too large."""
    random = np.random.default_rng(0)
    log_probs = np.log(random.uniform(0.02, 0.98, size=3 * number))
    right = random.random(3 * number) < confidences(log_probs, temperature)
    return Confidences(np.repeat(np.arange(number), 3).tolist(), log_probs.tolist(), right.tolist())


def test_calibration_takes_the_error_away() -> None:
    found = words(4000, 4.0).calibrated().figures()
    assert found["confidence_error_plain"] > 0.12
    assert found["confidence_error"] < 0.03
    assert found["confidence_temperature"] == pytest.approx(4, rel=0.1)


def test_the_error_by_hand() -> None:
    # Two words of a probability of 0.9, one right: off by 0.4; two of 0.2, none right: off by 0.2.
    found = Confidences([0, 0, 1, 1], np.log([0.9, 0.9, 0.2, 0.2]).tolist(), [True, False, False, False])
    reliability = found.calibrated(temperature=1.0)
    assert reliability.figures()["confidence_error"] == pytest.approx((0.4 + 0.2) / 2)
    bins = reliability.bins(reliability.plain)
    assert bins.shape == (NUM_BINS, 3)
    assert bins[~np.isnan(bins[:, 1])].tolist() == [[2, pytest.approx(0.2), 0], [2, pytest.approx(0.9), 0.5]]


def test_no_word_takes_part_in_its_own_correction() -> None:
    # The odd example is all wrong and the even one all right: each is judged by the temperature of the other.
    log_probs = np.log([0.9, 0.9, 0.9, 0.9]).tolist()
    reliability = Confidences([0, 0, 1, 1], log_probs, [True, True, False, False]).calibrated()
    assert reliability.calibrated[:2] == pytest.approx(confidences(np.log([0.9, 0.9]), 20.0))
    assert reliability.calibrated[2:] == pytest.approx([3 / 4, 3 / 4])


def test_which_words_are_right() -> None:
    captions, transcripts = CaptionScores(), TranscriptScores()
    references = ["a dog and a cat", "two dogs"]
    assert captions.right_words("a a a dogs cat".split(), references) == [True, True, False, True, True]
    assert captions.right_words(["a"], []) == [False]
    assert transcripts.right_words("dog a cat".split(), ["a dog cat"]) == [False, True, True]
    assert transcripts.right_words("a big dog".split(), ["a dog"]) == [True, False, True]
