"""Words wrong live against whole, delays, and words that changed."""

from __future__ import annotations

import pytest

from multimodal_attn.evaluation.live import LiveScores
from multimodal_attn.types import Span, Target


def scores() -> LiveScores:
    found = LiveScores()
    times = (Span(0.0, 1.0), Span(1.0, 2.0), Span(2.0, 3.0))
    found.add(["a", "b", "c"], [1.2, 2.3, 3.4], "a b c", Target("a b c", times=times), ["a", "x", "c"], [0.1, 0.2], 4.0)
    # A wrong word, which has no delay, and one that was shown and vanished.
    found.add(["a", "y"], [1.1, 2.2], "a b", Target("a b", times=times[:2]), ["a", "y", "z"], [0.3], 2.0)
    return found


def test_figures() -> None:
    figures = scores().compute()
    assert figures == pytest.approx(
        {
            "live_wer": 1 / 5,
            "live_wer_whole": 0.0,
            "live_wer_added": 1 / 5,
            "live_changed": 2 / 6,
            "emission_delay_ms": 250.0,  # of 100, 200, 300 and 400
            "emission_delay_90_ms": 350.0,
            "emission_num_words": 4,
            "live_rtf": 0.6 / 6,
            "live_look_ms": 200.0,
            "live_num_examples": 2,
        }
    )


def test_intervals_hold_the_figures() -> None:
    figures, ends = scores().compute(), scores().intervals()
    assert {"live_wer", "live_wer_added", "live_changed", "emission_delay_ms", "emission_delay_90_ms"} <= set(ends)
    assert all(low <= figures[name] <= high for name, (low, high) in ends.items())


def test_texts_without_times_have_no_delay() -> None:
    found = LiveScores()
    found.add(["a"], [1.0], "a", Target("a"), ["a"], [], 2.0)
    assert not [name for name in found.compute() if name.startswith("emission")]
