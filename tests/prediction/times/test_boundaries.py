from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.data.reading.segmentation import waveform_levels
from multimodal_attn.prediction.times.boundaries import word_boundaries
from multimodal_attn.types import Span, Timeline

RATE = 8000
STEP = 0.04


def sound(seconds: float, *loud: tuple[float, float]) -> np.ndarray:
    """Levels of a recording with noise at -20 dB in the spans and at -60 dB elsewhere."""
    waveform = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32) * 1e-3
    for start, end in loud:
        waveform[round(start * RATE) : round(end * RATE)] *= 100
    return waveform_levels(waveform, RATE)


def maps(seconds: float, *heard: tuple[float, float]) -> np.ndarray:
    """A token for each span of seconds, whose weights lie evenly on it."""
    centers = (np.arange(round(seconds / STEP)) + 0.5) * STEP
    rows = np.array([(centers > start) & (centers < end) for start, end in heard], dtype=float)
    return rows / rows.sum(axis=1, keepdims=True)


def found(levels: np.ndarray, weights: np.ndarray) -> list[Span]:
    return word_boundaries(weights, Timeline(STEP), [(token, token + 1) for token in range(len(weights))], levels)


def test_a_pause_belongs_to_no_word_wherever_weights_reach() -> None:
    levels = sound(2.0, (0.3, 0.7), (1.2, 1.6))
    # The second word's weights begin 200 ms before it, in the pause; the first one's go on into it.
    first, second = found(levels, maps(2.0, (0.3, 0.9), (1.0, 1.6)))
    assert first == pytest.approx((0.3, 0.7), abs=0.021)
    assert second == pytest.approx((1.2, 1.6), abs=0.021)


def test_outer_words_end_at_a_pause_wherever_their_outermost_tokens_are_heard() -> None:
    levels = sound(3.0, (0.9, 1.3), (1.36, 1.7), (2.6, 2.64))  # the last is no word, but a click behind the pause
    # The first token of the first word is heard long before it, the last one of the last word behind the click.
    weights = maps(3.0, (0.1, 0.3), (0.9, 1.3), (1.4, 1.7), (2.7, 3.0))
    first, last = word_boundaries(weights, Timeline(STEP), [(0, 2), (2, 4)], levels)
    assert first.start == pytest.approx(0.9, abs=0.021)
    assert last.end == pytest.approx(1.7, abs=0.021)


def test_a_short_closure_does_not_end_the_last_word() -> None:
    levels = sound(2.0, (0.5, 0.8), (0.86, 0.9))
    (word,) = word_boundaries(maps(2.0, (0.5, 0.7), (1.2, 1.4)), Timeline(STEP), [(0, 2)], levels)
    assert word == pytest.approx((0.5, 0.9), abs=0.021)


def test_in_fluent_speech_a_word_begins_where_it_is_quietest() -> None:
    levels = sound(1.2, (0.2, 0.58), (0.64, 1.0))
    first, second = found(levels, maps(1.2, (0.2, 0.5), (0.7, 1.0)))
    assert first.end == pytest.approx(0.58, abs=0.021)
    assert 0.58 < second.start < 0.64


def test_a_step_that_two_words_share_is_halved() -> None:
    levels = sound(1.0, (0.0, 1.0))
    first, second = found(levels, maps(1.0, (0.4, 0.44), (0.4, 0.44)))
    assert first.end == second.start == pytest.approx(0.42, abs=0.011)


def test_spans_are_in_order_whatever_the_weights_are() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        levels = generator.normal(-40, 15, size=100).astype(np.float32)
        spans = found(levels, generator.dirichlet(np.full(25, 0.3), size=6))
        edges = [edge for span in spans for edge in span]
        assert edges == sorted(edges)
        assert min(edges) >= 0
        assert max(edges) <= 1.0 + 1e-9


def test_a_constant_or_an_empty_recording() -> None:
    weights = maps(1.0, (0.2, 0.4), (0.6, 0.8))
    for levels in (np.full(100, -100.0), np.zeros(0)):
        spans = found(levels, weights)
        assert len(spans) == 2
        assert all(0 <= span.start <= span.end <= 1.0 for span in spans)
    assert word_boundaries(np.zeros((0, 5)), Timeline(STEP), [], sound(1.0)) == []


def test_levels_of_a_waveform_have_a_frame_for_what_is_left_at_its_end() -> None:
    levels = waveform_levels(np.ones(RATE // 100 * 3 + 7, dtype=np.float32), RATE)
    assert levels.shape == (4,)
    assert levels.max() == pytest.approx(-100)  # a constant is not heard
