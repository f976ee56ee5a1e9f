from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.types import Box, Grid, Span, Target, Timeline, TokenAxis

STEP = 0.1


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, S): each token looks at one position."""
    return np.eye(size)[list(positions)]


def test_pointing_scores() -> None:
    target = Target("a dog and cat", boxes={1: (Box(0, 0, 1 / 3, 1 / 3),), 3: (Box(1 / 3, 1 / 3, 1, 1),), 0: ()})
    # Two heads that agree only in the mean, two tokens for "dog".
    weights = np.stack([one_hot(9, 5, 0, 0, 2, 1), one_hot(9, 5, 8, 0, 2, 1)], axis=1)
    scores = AttentionScores()
    scores.update_boxes(weights, [(0, 1), (1, 3), (3, 4), (4, 5)], target, Grid(3, 3))
    found = scores.compute()
    assert found["pointing_accuracy"] == pytest.approx(1 / 2)  # the dog is found, the cat is not
    assert found["pointing_num_words"] == 2
    assert found["pointing_uniform"] == pytest.approx((1 / 9 + 4 / 9) / 2)
    assert found["pointing_center"] == pytest.approx(1 / 2)
    scores.reset()
    assert scores.compute() == {}


def test_center_of_an_even_grid_is_four_cells() -> None:
    scores = AttentionScores()
    scores.update_boxes(np.full((1, 1, 16), 1 / 16), [(0, 1)], Target("dog", {0: (Box(0, 0, 0.5, 0.5),)}), Grid(4, 4))
    assert scores.compute()["pointing_center"] == pytest.approx(1 / 4)


def test_a_cut_off_caption_counts_only_its_words() -> None:
    target = Target("dog cat", boxes={0: (Box(0, 0, 1, 1),), 1: (Box(0, 0, 1, 1),)})
    scores = AttentionScores()
    scores.update_boxes(np.full((1, 1, 4), 0.25), [(0, 1)], target, Grid(2, 2))
    assert scores.compute()["pointing_num_words"] == 1


def test_onset_scores_compare_correct_words_only() -> None:
    target = Target("bin red at two", times=(Span(0.1, 0.3), Span(0.3, 0.5), Span(0.5, 0.7), Span(0.8, 0.9)))
    words = ["bin", "blue", "two"]  # "blue" is wrong, "at" is missing
    weights = one_hot(10, 2, 4, 7)[:, None]
    scores = AttentionScores()
    scores.update_times(weights, [(0, 1), (1, 2), (2, 3)], words, target, Timeline(STEP))
    found = scores.compute()
    assert found["onset_num_words"] == 2
    assert found["onset_error_ms"] == pytest.approx(100)
    assert found["onset_bias_ms"] == pytest.approx(0, abs=1e-6)  # one 100 ms late, one 100 ms early
    assert found["onset_even_ms"] == pytest.approx((100 + abs(2000 / 3 - 800)) / 2)


def test_times_by_ctc_stand_beside_those_of_attention() -> None:
    target = Target("bin red", times=(Span(0.1, 0.3), Span(0.3, 0.5)))
    scores = AttentionScores()
    arguments = (one_hot(10, 1, 3)[:, None], [(0, 1), (1, 2)], ["bin", "red"], target, Timeline(STEP))
    scores.update_times(*arguments)
    without = scores.compute()
    assert not any(name.startswith("ctc") for name in without)
    scores.reset()
    scores.update_times(*arguments, [Span(0.13, 0.25), Span(0.35, 0.5)])
    found = scores.compute()
    assert without.items() <= found.items()
    assert found["ctc_onset_error_ms"] == pytest.approx(40)
    assert found["ctc_offset_bias_ms"] == pytest.approx(-25)
    assert found["ctc_onset_within_50_ms"] == 1


def test_late_is_positive() -> None:
    scores = AttentionScores()
    target = Target("two", times=(Span(0.1, 0.3),))
    scores.update_times(one_hot(10, 3)[:, None], [(0, 1)], ["two"], target, Timeline(STEP))
    assert scores.compute()["onset_bias_ms"] == pytest.approx(200)


def test_sharpness_is_a_mean_over_tokens_of_the_mean_head() -> None:
    # The first token's heads disagree: their mean has entropy 1/2. The second token is uniform.
    weights = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]], [[0.25] * 4, [0.25] * 4]])
    scores = AttentionScores()
    scores.update_boxes(weights, [(0, 1), (1, 2)], Target("a b"), Grid(2, 2))
    found = scores.compute()
    assert found == pytest.approx({"attention_entropy": 0.75, "attention_peak": 0.375})


def test_the_map_of_the_next_token() -> None:
    target = Target("a dog", boxes={0: (Box(0, 0, 0.5, 0.5),), 1: (Box(0.5, 0.5, 1, 1),)})
    weights = one_hot(4, 3, 0)[:, None]
    scores = AttentionScores()
    scores.update_boxes(weights, [(0, 1), (1, 2)], target, Grid(2, 2), ending=one_hot(4, 3))
    found = scores.compute()
    assert found["pointing_accuracy"] == 0  # it looks at each thing one token late
    assert found["pointing_accuracy_next"] == 1
    assert found["box_mass_gain"] == pytest.approx(-1 / 4)
    assert found["box_mass_gain_next"] == pytest.approx(3 / 4)
    assert found["box_iou_next"] == 1
    assert found["box_mass_uniform"] == found["box_iou_uniform"] == pytest.approx(1 / 4)
    assert found["box_mass_gain_center"] == pytest.approx(0)
    assert found["attention_peak"] == 1


def test_the_last_word_has_no_next_map_without_the_ending() -> None:
    scores = AttentionScores()
    scores.update_boxes(one_hot(4, 0)[:, None], [(0, 1)], Target("dog", {0: (Box(0, 0, 1, 1),)}), Grid(2, 2))
    assert "pointing_accuracy_next" not in scores.compute()


def test_the_ending_does_not_count_as_a_token() -> None:
    scores = AttentionScores()
    scores.update_boxes(np.full((1, 1, 4), 0.25), [(0, 1)], Target("dog"), Grid(2, 2), ending=one_hot(4, 0))
    assert scores.compute()["attention_entropy"] == pytest.approx(1)


def test_offsets_and_peaks() -> None:
    target = Target("bin red", times=(Span(0.1, 0.3), Span(0.5, 0.8)))
    weights = np.zeros((2, 1, 10))
    weights[0, 0, [1, 2]] = 0.4, 0.6
    weights[1, 0, [5, 6, 7]] = 0.3, 0.4, 0.3
    scores = AttentionScores()
    scores.update_times(weights, [(0, 1), (1, 2)], ["bin", "red"], target, Timeline(STEP))
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
    scores = AttentionScores()
    for _ in range(10):
        weights = generator.dirichlet(np.full(20, 0.2), size=3)[:, None]
        starts = np.sort(generator.random(3) * 2)
        target = Target("a b c", times=tuple(Span(start, start + 0.1) for start in starts))
        scores.update_times(weights, [(0, 1), (1, 2), (2, 3)], ["a", "b", "c"], target, Timeline(STEP))
    found = scores.compute()
    for edge in ("onset", "onset_peak", "offset", "offset_peak"):
        shares = [found[f"{edge}_within_{limit}_ms"] for limit in (20, 50, 100, 200)]
        assert shares == sorted(shares)


def test_written_texts_have_a_shape_without_any_truth() -> None:
    scores = AttentionScores()
    scores.update_shape(one_hot(4, 0, 1)[:, None], Grid(2, 2))
    scores.update_shape(np.full((1, 1, 4), 0.25), Grid(2, 2))
    scores.update_shape(np.zeros((0, 1, 4)), Grid(2, 2))  # an empty text has none
    found = scores.compute()
    assert found["attention_entropy"] == pytest.approx(1 / 3)
    assert found["attention_effective_cells"] == pytest.approx((1 + 1 + 4) / 3)  # of a token
    assert found["attention_coverage"] == pytest.approx((2 / 4 + 0) / 2)  # of a text
    assert "attention_monotonicity" not in found
    scores.update_shape(one_hot(4, 0, 1)[:, None], TokenAxis())
    assert scores.compute()["attention_monotonicity"] == 1


def test_entropy_along_the_truth_goes_before_that_of_written_texts() -> None:
    scores = AttentionScores()
    scores.update_shape(one_hot(4, 0)[:, None], Grid(2, 2))
    scores.update_boxes(np.full((1, 1, 4), 0.25), [(0, 1)], Target("a"), Grid(2, 2))
    assert scores.compute()["attention_entropy"] == pytest.approx(1)


def test_an_empty_hypothesis_adds_nothing() -> None:
    scores = AttentionScores()
    target = Target("two", times=(Span(0.1, 0.3),))
    scores.update_times(np.zeros((0, 1, 10)), [], [], target, Timeline(STEP))
    assert scores.compute() == {}


# --------------------------------------------------------------------------------------------------- alignment


def test_alignment_by_hand() -> None:
    """Three words of one token over four positions: right, wrong, and as good as a draw between two."""
    scores = AttentionScores()
    weights = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7], [0.0, 0.5, 0.5, 0.0]])[:, None]
    target = Target("a b c d", read_from={0: (0,), 1: (0, 1), 2: (1,)})
    scores.update_alignment(weights, [(0, 1), (1, 2), (2, 3)], target, [(0, 1), (1, 2), (2, 4)])
    found = scores.compute()
    assert found["alignment_accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["alignment_uniform"] == pytest.approx((1 + 2 + 1) / 12)
    assert found["alignment_mass_gain"] == pytest.approx((0.7 + 0.2 + 0.5) / 3 - 4 / 12)
    assert found["alignment_num_words"] == 3


def test_alignment_of_a_uniform_map_is_chance_and_that_of_the_truth_is_one() -> None:
    random = np.random.default_rng(0)
    places = random.integers(0, 5, size=20)
    target = Target(" ".join("x" * 20), read_from={word: (int(place),) for word, place in enumerate(places)})
    spans, source_spans = [(word, word + 1) for word in range(20)], [(2 * place, 2 * place + 2) for place in range(5)]
    uniform, true = AttentionScores(), AttentionScores()
    uniform.update_alignment(np.full((20, 1, 10), 0.1), spans, target, source_spans)
    true.update_alignment(np.eye(10)[2 * places][:, None], spans, target, source_spans)
    assert uniform.compute()["alignment_accuracy"] == pytest.approx(uniform.compute()["alignment_uniform"])
    assert uniform.compute()["alignment_mass_gain"] == pytest.approx(0)
    assert true.compute()["alignment_accuracy"] == 1
    merged = AttentionScores()
    merged.merge(uniform)
    merged.merge(true)
    assert merged.compute()["alignment_accuracy"] == pytest.approx((1 + uniform.compute()["alignment_accuracy"]) / 2)
