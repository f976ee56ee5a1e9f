from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.evaluation.attention.cells.base import Text
from multimodal_attn.evaluation.attention.cells.recordings import RecordingCells, quiet_steps
from multimodal_attn.types import Span, Target, Timeline

STEP = 0.1


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, S): each token looks at one position."""
    return np.eye(size)[list(positions)]


def test_onset_scores_compare_correct_words_only() -> None:
    target = Target("bin red at two", times=(Span(0.1, 0.3), Span(0.3, 0.5), Span(0.5, 0.7), Span(0.8, 0.9)))
    words = ["bin", "blue", "two"]  # "blue" is wrong, "at" is missing
    weights = one_hot(10, 2, 4, 7)
    scores = RecordingCells()
    scores.compare(Text(weights, [(0, 1), (1, 2), (2, 3)]), words, target, Timeline(STEP))
    found = scores.compute()
    assert found["onset_num_words"] == 2
    assert found["onset_error_ms"] == pytest.approx(100)
    assert found["onset_bias_ms"] == pytest.approx(0, abs=1e-6)  # one 100 ms late, one 100 ms early
    assert found["onset_even_ms"] == pytest.approx((100 + abs(2000 / 3 - 800)) / 2)


def test_times_by_ctc_stand_beside_those_of_attention() -> None:
    target = Target("bin red", times=(Span(0.1, 0.3), Span(0.3, 0.5)))
    scores = RecordingCells()
    arguments = (Text(one_hot(10, 1, 3), [(0, 1), (1, 2)]), ["bin", "red"], target, Timeline(STEP))
    scores.compare(*arguments)
    without = scores.compute()
    assert not any(name.startswith("ctc") for name in without)
    scores = RecordingCells()
    scores.compare(*arguments, [Span(0.13, 0.25), Span(0.35, 0.5)])
    found = scores.compute()
    assert without.items() <= found.items()
    assert found["ctc_onset_error_ms"] == pytest.approx(40)
    assert found["ctc_offset_bias_ms"] == pytest.approx(-25)
    assert found["ctc_onset_within_50_ms"] == 1


def test_late_is_positive() -> None:
    scores = RecordingCells()
    target = Target("two", times=(Span(0.1, 0.3),))
    scores.compare(Text(one_hot(10, 3), [(0, 1)]), ["two"], target, Timeline(STEP))
    assert scores.compute()["onset_bias_ms"] == pytest.approx(200)


def test_offsets_and_peaks() -> None:
    target = Target("bin red", times=(Span(0.1, 0.3), Span(0.5, 0.8)))
    weights = np.zeros((2, 10))
    weights[0, [1, 2]] = 0.4, 0.6
    weights[1, [5, 6, 7]] = 0.3, 0.4, 0.3
    scores = RecordingCells()
    scores.compare(Text(weights, [(0, 1), (1, 2)]), ["bin", "red"], target, Timeline(STEP))
    found = scores.compute()
    # The path covers both words exactly; the peaks begin 100 ms late, and the second ends 100 ms early.
    assert found["onset_error_ms"] == pytest.approx(0, abs=1e-6)
    assert found["offset_error_ms"] == pytest.approx(0, abs=1e-6)
    assert found["onset_within_20_ms"] == 1
    assert found["onset_peak_bias_ms"] == pytest.approx(100)
    assert found["onset_peak_within_50_ms"] == 0
    assert found["onset_peak_within_200_ms"] == 1
    assert found["offset_peak_bias_ms"] == pytest.approx(-50)
    assert found["offset_peak_within_20_ms"] == pytest.approx(1 / 2)
    assert found["offset_even_ms"] == pytest.approx(200)


def test_shares_within_do_not_fall_with_the_limit() -> None:
    generator = np.random.default_rng(0)
    scores = RecordingCells()
    for _ in range(10):
        weights = generator.dirichlet(np.full(20, 0.2), size=3)
        starts = np.sort(generator.random(3) * 2)
        target = Target("a b c", times=tuple(Span(start, start + 0.1) for start in starts))
        scores.compare(Text(weights, [(0, 1), (1, 2), (2, 3)]), ["a", "b", "c"], target, Timeline(STEP))
    found = scores.compute()
    for edge in ("onset", "onset_peak", "offset", "offset_peak"):
        shares = [found[f"{edge}_within_{limit}_ms"] for limit in (20, 50, 100, 200)]
        assert shares == sorted(shares)


def test_an_empty_hypothesis_has_no_word_in_time() -> None:
    scores = RecordingCells()
    target = Target("two", times=(Span(0.1, 0.3),))
    scores.compare(Text(np.zeros((0, 10)), []), [], target, Timeline(STEP))
    assert scores.compute() == {f"word_times_f1_{limit}_ms": 0 for limit in (50, 100, 200)}


def test_quiet_steps_of_a_recording() -> None:
    waveform = np.zeros(100, dtype=np.float32)
    waveform[20:60] = 0.5
    waveform[70:80] = 0.001  # 54 dB below
    assert np.flatnonzero(~quiet_steps(waveform, 100, Timeline(0.1), 10, padded=False)).tolist() == [2, 3, 4, 5]
    loud = np.ones(100, dtype=np.float32)
    assert np.flatnonzero(quiet_steps(loud, 100, Timeline(0.1), 10, padded=True)).tolist() == [9]
    assert not quiet_steps(loud, 100, Timeline(0.1), 10, padded=False).any()
    assert quiet_steps(np.zeros(100), 100, Timeline(0.1), 10, padded=False).all()
    # A memory may reach beyond the recording's end: nothing is heard there.
    assert quiet_steps(loud, 100, Timeline(0.1), 12, padded=False).tolist() == [False] * 10 + [True] * 2


def test_a_span_of_a_recording_gets_silence() -> None:
    layout = Timeline(step_seconds=0.5, offset_seconds=0.25)
    removed = torch.tensor([[False, True, False]])
    found = RecordingCells.remove(torch.ones(1, 20), removed, layout, 10)
    assert (found[0] == 0).nonzero()[:, 0].tolist() == [8, 9, 10, 11, 12]  # from 0.75 to 1.25 seconds


def test_means_and_f1_stand_beside_medians() -> None:
    target = Target("bin red now", times=(Span(0.0, 0.2), Span(0.2, 0.4), Span(0.6, 0.9)))
    scores = RecordingCells()
    heard = [Span(0.03, 0.2), Span(0.2, 0.25), Span(0.7, 0.9)]
    scores.compare_times(["bin", "red", "two"], {"{}": heard}, target, Span(0, 1))
    scores.compare_times([], {"{}": []}, Target("at", times=(Span(0, 1),)), Span(0, 1))  # a word that nobody wrote
    found = scores.compute()
    assert found["onset_mean_error_ms"] == pytest.approx(15)
    assert found["offset_mean_error_ms"] == pytest.approx(75)
    # Of three written and four true words one is right at 50 and 100 ms; at 200 ms "red", which ends early, is another.
    assert found["word_times_f1_50_ms"] == pytest.approx(2 / 7)
    assert found["word_times_f1_100_ms"] == pytest.approx(2 / 7)
    assert found["word_times_f1_200_ms"] == pytest.approx(4 / 7)


def test_figures_against_an_aligner_have_names_of_their_own() -> None:
    target = Target("two", times=(Span(0.1, 0.3),), timed_by="an aligner")
    scores = RecordingCells()
    scores.compare(Text(one_hot(10, 3), [(0, 1)]), ["two"], target, Timeline(STEP))
    found = scores.compute()
    assert found["aligner_onset_error_ms"] == pytest.approx(200)
    assert all(name.startswith("aligner_") for name in found)


def test_a_waveform_bounds_the_words() -> None:
    waveform = np.zeros(1000, dtype=np.float32)
    waveform[250:550] = np.random.default_rng(0).standard_normal(300)
    target = Target("two", times=(Span(0.25, 0.55),))
    scores = RecordingCells()
    arguments = (Text(one_hot(10, 4), [(0, 1)]), ["two"], target, Timeline(STEP))
    scores.compare(*arguments)
    assert scores.compute()["onset_error_ms"] == pytest.approx(150)
    scores = RecordingCells()
    scores.compare(*arguments, waveform=waveform, sample_rate=1000)
    assert scores.compute()["onset_error_ms"] <= 20
