from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.evaluation.attention.collapse import CollapseSigns, repetitions


def one_hot(size: int, *positions: int) -> np.ndarray:
    """(T, 1, S): each token looks at one position."""
    return np.eye(size)[list(positions)][:, None]


def test_nothing_is_no_sign() -> None:
    signs = CollapseSigns()
    signs.add_map("empty", np.zeros((0, 1, 4)))
    assert signs.cell() is signs.quiet() is signs.repeats() is None


def test_stuck_in_a_cell() -> None:
    signs = CollapseSigns()
    signs.add_map("a", one_hot(9, 3, 3, 3, 5))
    signs.add_map("b", one_hot(9, 3, 3))
    sign = signs.cell()
    assert sign is not None
    assert sign.share == pytest.approx(5 / 6)
    assert sign.key == "b"
    assert "cell 3" in sign.detail
    assert sign.expected == pytest.approx(1 / 9)


def test_stuck_at_the_end_of_recordings_of_unlike_lengths() -> None:
    signs = CollapseSigns()
    signs.add_map("a", one_hot(9, 8, 8))
    signs.add_map("b", one_hot(5, 4, 4))
    sign = signs.cell()
    assert sign is not None
    assert sign.share == 1
    assert "cell 0 from the end" in sign.detail


def test_a_uniform_map_and_a_walk_are_not_stuck() -> None:
    for weights in (np.full((8, 2, 8), 1 / 8), one_hot(8, *range(8))):
        signs = CollapseSigns()
        signs.add_map("a", weights)
        sign = signs.cell()
        assert sign is not None
        assert sign.share == pytest.approx(1 / 8)
        assert sign.share == pytest.approx(sign.expected)


def test_weight_on_quiet_steps() -> None:
    signs = CollapseSigns()
    quiet = np.array([True, False, False, True])
    signs.add_map("loud", one_hot(4, 1, 2), quiet)
    signs.add_map("quiet", one_hot(4, 0, 3, 3, 1), quiet)
    sign = signs.quiet()
    assert sign is not None
    assert (sign.share, sign.expected, sign.key) == (pytest.approx(3 / 8), 0.5, "quiet")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("a", 1),
        ("a b c", 1),
        ("a a", 2),
        ("b a a a c", 3),
        ("a b a b a b", 3),
        ("a b a b a", 2),
        ("a b c a b d", 1),
    ],
)
def test_repetitions(text: str, number: int) -> None:
    assert repetitions(text.split()) == number


def test_texts_repeat_only_what_no_reference_does() -> None:
    signs = CollapseSigns()
    signs.add_text("fine", "a dog and a cat", ["a dog"])
    signs.add_text("digits", "one one one", ["one one one"])
    signs.add_text("twice", "very very big", ["big"])
    signs.add_text("loop", "a dog a dog a dog", ["a dog"])
    sign = signs.repeats()
    assert sign is not None
    assert (sign.share, sign.key) == (1 / 4, "loop")
