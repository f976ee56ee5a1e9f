"""What is kept of a live session: where the model looked for each word, and when it was written."""

from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.recordings.live import Heard, Live, LiveSettings, WordAttention
from multimodal_attn.prediction.recordings.live_record import LiveRecord
from multimodal_attn.prediction.recordings.transcript import TimedWord
from tests.prediction.recordings.test_live import CELL, RATE, SAID, WORDS, Reads, pieces_of, predictor_of, speech


def recorded(
    samples: np.ndarray, max_seconds: float = 300.0, settings: LiveSettings | None = None, search: Reads | None = None
) -> tuple[list[Heard], Prediction, LiveRecord]:
    record = LiveRecord(Live(predictor_of(search), settings), max_seconds)
    return list(record(pieces_of(samples, 800))), record.prediction("said"), record


def test_what_is_heard_is_what_the_session_hears() -> None:
    samples, _ = speech(SAID)
    heard, found, _ = recorded(samples)
    alone = list(Live(predictor_of())(pieces_of(samples, 800)))
    assert [each.as_dict() for each in heard] == [each.as_dict() for each in alone]
    words = [word for each in heard for word in each.words]
    assert found.text == " ".join(SAID)
    assert found.tokens == [word.text for word in words]
    assert list(found.word_spans) == [(word.start, word.end) for word in words]
    np.testing.assert_array_equal(found.source, samples)
    assert found.key == "said"


@pytest.mark.parametrize("pause_every", [2, None])
def test_weights_lie_where_the_words_are_said(pause_every: int | None) -> None:
    samples, ends = speech(SAID, pause_every=pause_every)
    _, found, _ = recorded(samples, settings=LiveSettings(max_seconds=2.0))
    assert found.weights.shape == (len(SAID), 1, -(-len(samples) // CELL))
    np.testing.assert_allclose(found.weights.sum(-1), 1, atol=1e-5)
    step = CELL / RATE
    middles = (found.weights[:, 0] * (np.arange(found.weights.shape[-1]) + 0.5)).sum(-1) * step
    np.testing.assert_allclose(middles, np.array(ends) - 0.16, atol=1.1 * step)


def test_moments_say_what_was_shown_before_a_word_was_sure() -> None:
    heard, found, _ = recorded(speech(["three", "one"])[0])
    for word, moments in zip(["three", "one"], found.moments, strict=True):
        assert [text for _, text in moments.shown] == ["uh", word]  # of a word that has just begun, not which
        times = [when for when, _ in moments.shown]
        assert times == sorted(times)
        assert times[-1] <= moments.sure
        (sure,) = [each.seconds for each in heard if word in [one.text for one in each.words]]
        assert moments.sure == sure


def test_what_was_shown_long_ago_is_no_moment_of_a_later_word() -> None:
    record = LiveRecord(Live(predictor_of()))
    word, attention = TimedWord("three", 0.1, 0.4), WordAttention(np.ones(1), 0.0, -0.1)
    for sure, tentative, seconds in (([], [word], 1.0), ([], [], 1.2), ([word], [], 9.0)):
        record._add(Heard(sure, tentative, seconds, [attention] * len(sure)))
    assert record.prediction("x").moments == [(((9.0, "three"),), 9.0)]


def test_memory_holds_the_last_seconds_alone() -> None:
    said = [WORDS[number * number % 8] for number in range(60)]
    samples, ends = speech(said)
    settings = LiveSettings(max_seconds=3.0)
    _, found, record = recorded(samples, 5.0, settings)
    assert 5.0 <= len(found.source) / RATE <= 5.2
    np.testing.assert_array_equal(found.source, samples[-len(found.source) :])
    begin = (len(samples) - len(found.source)) / RATE
    kept = sum(end - 0.32 >= begin - 0.05 for end in ends)
    assert abs(len(found.tokens) - kept) <= 1
    assert found.text.split() == said[-len(found.tokens) :]
    assert found.key == f"said, from {begin:.1f} s on"
    last = np.array(ends[-len(found.tokens) :]) - begin
    np.testing.assert_allclose([span.end for span in found.word_spans], last, atol=0.07)
    assert all(0 <= moments.shown[0][0] <= moments.sure <= 5.3 for moments in found.moments)
    longest = max(len(one.attention.weights) for one in record._words)
    assert longest <= 3.3 * RATE / CELL
    np.testing.assert_allclose(found.weights[1:].sum(-1), 1, atol=1e-5)


def test_of_silence_nothing_is_left() -> None:
    _, found, _ = recorded(np.zeros(RATE, dtype=np.float32))
    assert (found.text, found.weights.shape, found.moments) == ("", (0, 1, RATE // CELL), [])
