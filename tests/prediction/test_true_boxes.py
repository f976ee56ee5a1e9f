from __future__ import annotations

from multimodal_attn.prediction.true_boxes import things, true_boxes
from multimodal_attn.types import Box, Target

LEFT, RIGHT, TOP = Box(0, 0, 0.4, 1), Box(0.6, 0, 1, 1), Box(0, 0, 1, 0.3)


def test_of_two_stars_the_one_with_the_same_phrase() -> None:
    target = Target("a small red star above a large blue star", boxes={3: (LEFT,), 8: (RIGHT,)})
    assert true_boxes("the large blue star is below it".split(), [target]) == {3: (RIGHT,)}
    found = true_boxes("a blue star under a red star".split(), [target])
    assert found == {2: (RIGHT,), 6: (LEFT,)}


def test_without_a_likeness_the_order_decides() -> None:
    target = Target("star over star", boxes={0: (LEFT,), 2: (RIGHT,)})
    assert true_boxes("star and star".split(), [target]) == {0: (LEFT,), 2: (RIGHT,)}


def test_two_mentions_are_two_things_of_one_reference() -> None:
    first, second = Target("a dog", boxes={1: (LEFT,)}), Target("the dog", boxes={1: (RIGHT,)})
    assert true_boxes("a dog and the dog".split(), [first, second]) == {1: (LEFT,)}
    both = Target("one dog and another dog", boxes={1: (TOP,), 4: (RIGHT,)})
    assert true_boxes("a dog and the dog".split(), [first, second, both]) == {1: (TOP,), 4: (RIGHT,)}


def test_the_likest_phrase_is_taken_from_any_reference() -> None:
    targets = [Target("a red star", boxes={2: (LEFT,)}), Target("a blue star", boxes={2: (RIGHT,)})]
    assert true_boxes("one blue star".split(), targets) == {2: (RIGHT,)}


def test_words_without_boxes() -> None:
    assert true_boxes("a cat".split(), [Target("a cat", boxes={1: ()}), Target("a dog", boxes={1: (LEFT,)})]) == {}
    assert true_boxes([], [Target("a dog", boxes={1: (LEFT,)})]) == {}
    assert [[thing.name for thing in found] for found in things([Target("a dog", boxes={1: (LEFT,)})])] == [["dog"]]
