from __future__ import annotations

import pytest
import torch

from multimodal_attn.prediction.times.ctc_alignment import ctc_times
from multimodal_attn.types import PAD, Timeline

TIMELINE = Timeline(0.1, offset_seconds=1.0)
SPACE, A, B = 4, 5, 6


def saying(*labels: int) -> torch.Tensor:
    """(S, V) logits of a head that is sure of a label in every step."""
    return 9.0 * torch.eye(7)[list(labels)]


def test_words_last_from_their_first_to_their_last_token() -> None:
    logits = saying(PAD, A, B, PAD, PAD, SPACE, PAD, B, B, PAD)
    spans = ctc_times(logits, TIMELINE, [A, B, SPACE, B], [(0, 2), (3, 4)])
    assert spans is not None
    assert [tuple(span) for span in spans] == [pytest.approx((1.1, 1.3)), pytest.approx((1.5, 1.9))]


def test_of_a_pause_two_steps_count() -> None:
    logits = saying(A, SPACE, PAD, PAD, PAD, B)
    spans = ctc_times(logits, TIMELINE, [A, SPACE, B], [(0, 1), (2, 3)])
    assert spans is not None
    assert tuple(spans[1]) == pytest.approx((1.3, 1.6))


def test_equal_tokens_are_parted_by_a_blank() -> None:
    # The head would rather write one long "a": the path has to find room for the blank.
    spans = ctc_times(saying(A, A, A), Timeline(1.0), [A, A], [(0, 1), (1, 2)])
    assert spans == [(0.0, 1.0), (2.0, 3.0)]


def test_the_path_serves_the_text_and_not_the_strongest_labels() -> None:
    logits = saying(PAD, A, PAD, B, PAD)
    logits[3, A] = 8.0
    assert ctc_times(logits, Timeline(1.0), [A, A], [(0, 1), (1, 2)]) == [(1.0, 2.0), (3.0, 4.0)]


def test_a_text_that_does_not_fit_has_no_times() -> None:
    assert ctc_times(saying(A, A), TIMELINE, [A, A], [(0, 1), (1, 2)]) is None
    assert ctc_times(saying(A), TIMELINE, [A, B], [(0, 1), (1, 2)]) is None
    assert ctc_times(saying(A, B), TIMELINE, [A, B], [(0, 1), (1, 2)]) is not None


def test_no_words() -> None:
    assert ctc_times(saying(PAD, PAD), TIMELINE, [], []) == []
    assert ctc_times(saying(PAD, PAD), TIMELINE, [SPACE], []) == []
