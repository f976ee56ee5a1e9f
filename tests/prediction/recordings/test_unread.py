"""Sound behind the last word."""

from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.prediction.recordings.transcript import TimedWord
from multimodal_attn.prediction.recordings.unread import is_spoken, lead, loudness, unread_since, until_quiet

WORDS = [TimedWord("one", 0.1, 0.4), TimedWord("two", 0.5, 0.9)]


def level(*loud: tuple[float, float]) -> np.ndarray:
    """Two seconds of silence but for some stretches."""
    found = np.full(200, -70.0)
    for start, end in loud:
        found[round(100 * start) : round(100 * end)] = -20.0
    return found


def test_the_last_word_goes_on_until_the_sound_pauses() -> None:
    heard = until_quiet(WORDS, level((0.1, 0.4), (0.5, 1.1)))
    assert heard == [WORDS[0], TimedWord("two", 0.5, pytest.approx(1.1))]
    assert until_quiet([], level()) == []


@pytest.mark.parametrize(
    ("loud", "since"),
    [
        ([(0.1, 0.4), (0.5, 0.9)], None),
        ([(0.1, 0.4), (0.5, 1.2)], None),  # of the last word
        ([(0.1, 0.4), (0.5, 1.1), (1.4, 1.9)], 1.1),
        ([(0.1, 0.4), (0.5, 1.1), (1.4, 1.45)], None),  # a click
    ],
)
def test_what_is_said_behind_the_last_word_is_found(loud: list[tuple[float, float]], since: float | None) -> None:
    assert unread_since(WORDS, level(*loud)) == (None if since is None else pytest.approx(since))


def test_a_word_that_ends_before_the_first_sound_does_not_have_all_of_it_read_for_ever() -> None:
    assert unread_since([TimedWord("one", 0.0, 0.05)], level((0.1, 0.4))) is None


def test_without_a_word_nothing_is_read_anew() -> None:
    assert unread_since([], level((0.1, 1.9))) is None


def test_spoken_is_what_is_nearer_to_words_than_to_pauses() -> None:
    sound = level((0.1, 0.4))  # of -20 dB, in silence of -70
    assert loudness(WORDS[0], sound) == -20.0
    assert is_spoken(sound, 0.0, [-10.0, -5.0, 30.0])
    assert not is_spoken(sound, 0.0, [0.0, 40.0, 50.0])
    assert not is_spoken(sound, 0.5, [-20.0])
    assert is_spoken(sound, 0.0, [])
    noise = np.random.default_rng(0).normal(-40.0, 2.0, 200)
    assert not is_spoken(noise, 0.0, [])
    assert is_spoken(np.maximum(noise, sound), 0.0, [])
    # As halfway lies between -20 and -80 dB, not -100.
    assert not is_spoken(np.where(sound > -30.0, -55.0, -100.0), 0.0, [-20.0])
    assert is_spoken(np.where(sound > -30.0, -45.0, -100.0), 0.0, [-20.0])
    assert not is_spoken(np.zeros(0), 0.0, [])


def test_a_pause_at_the_beginning_is_not_read_but_for_its_end() -> None:
    assert lead(level((0.8, 1.2))) == pytest.approx(0.7)
    assert lead(np.maximum(level((0.8, 1.2)), -45.0)) == pytest.approx(0.7)
    assert lead(level((0.1, 0.4))) == 0.0
    assert lead(level((0.0, 2.0))) == 0.0
    assert lead(level()) == pytest.approx(1.9)
    assert lead(np.zeros(0)) == 0.0
