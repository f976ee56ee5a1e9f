from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.training.objectives.box_supervision import BoxSupervision, box_maps
from multimodal_attn.types import BOS, EOS, PAD, Batch, Box, DecoderOutput, Grid, Memory, Target, Timeline

GRID = Grid(2, 2)
LEFT, TOP_RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 0.5)


def loss(tokenizer, targets: list[tuple[Target, ...]], weights: torch.Tensor, layout=GRID) -> torch.Tensor:
    """Of texts whose every map is given.

    Shapes:
        weights: (B, K, T, N, 4), longer than any text.
    """
    tokens = torch.full((*weights.shape[:2], weights.shape[2] + 1), PAD)
    for b, row in enumerate(targets):
        for k, target in enumerate(row):
            ids = torch.tensor([BOS, *tokenizer.encode(target.text), EOS])
            tokens[b, k, : len(ids)] = ids
    mask = tokens != PAD
    batch = Batch(["x"] * len(tokens), torch.zeros(1), torch.ones(1), tokens, mask, targets)
    memory = Memory(torch.zeros(len(tokens), 4, 3), torch.ones(len(tokens), 4, dtype=torch.bool), layout)
    output = DecoderOutput(torch.zeros(1), torch.zeros(1), weights * mask[..., 1:, None, None], mask[..., 1:])
    objective = BoxSupervision()
    objective.prepare(SimpleNamespace(tokenizer=tokenizer))  # type: ignore[arg-type]
    return objective(None, batch, memory, output)  # type: ignore[arg-type]


WORDS = WordTokenizer().fit(["a dog and cat"])


def test_divergence_by_hand() -> None:
    weights = torch.full((1, 2, 6, 1, 4), 0.25)
    weights[0, 0, 1, 0] = torch.tensor([0.4, 0.3, 0.2, 0.1])  # of "dog"
    weights[0, 1, 2, 0] = torch.tensor([0.1, 0.6, 0.1, 0.2])  # of "dog" in the other text
    targets = [(Target("a dog", {1: (LEFT,)}), Target("cat and dog", {2: (TOP_RIGHT,)}))]
    first = 0.5 * math.log(0.5 / 0.4) + 0.5 * math.log(0.5 / 0.2)  # the left cells are the first and the third
    second = math.log(1 / 0.6)
    assert float(loss(WORDS, targets, weights)) == pytest.approx((first + second) / 2, rel=1e-5)


def test_a_map_on_the_box_costs_nothing_and_one_beside_it_learns_towards_it() -> None:
    scores = torch.tensor([0.0, 3.0, 0.0, 3.0], requires_grad=True)
    targets = [(Target("dog", {0: (LEFT,)}),)]
    value = loss(WORDS, targets, scores.softmax(-1).expand(1, 1, 3, 1, 4))
    (gradient,) = torch.autograd.grad(value, scores)
    assert (gradient.sign() == torch.tensor([-1, 1, -1, 1])).all()
    there = torch.tensor([0.5, 0.0, 0.5, 0.0]).expand(1, 1, 3, 1, 4)
    assert float(loss(WORDS, targets, there)) == pytest.approx(0, abs=1e-6)


def test_a_word_of_several_tokens_and_heads_has_their_mean_map() -> None:
    tokenizer = CharacterTokenizer().fit(["a dog"])
    weights = torch.zeros(1, 1, 7, 2, 4)
    weights[..., 3] = 1.0
    weights[0, 0, 2:5, 0] = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])  # d, o, g: one head of two
    found = loss(tokenizer, [(Target("a dog", {1: (TOP_RIGHT,)}),)], weights)
    assert float(found) == pytest.approx(math.log(1 / (2 / 6)), rel=1e-5)


def test_without_boxes_it_is_zero_and_has_a_gradient_all_the_same() -> None:
    weights = torch.full((2, 1, 4, 1, 4), 0.25, requires_grad=True)
    value = loss(WORDS, [(Target("a dog"),), ()], weights)
    value.backward()
    assert float(value.detach()) == 0
    assert weights.grad is not None
    assert weights.grad.abs().max() == 0


def test_examples_without_boxes_do_not_count_in_the_mean() -> None:
    weights = torch.full((2, 1, 4, 1, 4), 0.25)
    with_boxes, without = (Target("a dog", {1: (TOP_RIGHT,)}),), (Target("a dog", {1: (Box(0.3, 0.3, 0.3, 0.3),)}),)
    expected = math.log(4)
    assert float(loss(WORDS, [with_boxes, (Target("cat"),)], weights)) == pytest.approx(expected)
    assert float(loss(WORDS, [with_boxes, without], weights)) == pytest.approx(expected)  # a box without area
    cut_off = (Target("dog", {0: (TOP_RIGHT,), 7: (LEFT,)}),)
    assert float(loss(WORDS, [with_boxes, cut_off], weights)) == pytest.approx(expected)


def test_box_maps_share_out_the_area() -> None:
    # A quarter of the first cell and half of the second; then two boxes that lie on top of each other; then none.
    words = [(Box(0.25, 0.25, 0.5, 0.5), Box(0.5, 0.0, 1.0, 0.25)), (TOP_RIGHT, TOP_RIGHT), ()]
    expected = torch.tensor([[1 / 3, 2 / 3, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(box_maps(GRID, words), expected)
    # Over unequal sides: three rows of one column.
    torch.testing.assert_close(box_maps(Grid(3, 1), [(Box(0, 0.5, 1, 1),)]), torch.tensor([[0, 1 / 3, 2 / 3]]))


def test_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match="box_supervision needs pictures"):
        loss(WORDS, [(Target("a dog"),)], torch.full((1, 1, 4, 1, 4), 0.25), Timeline(0.04))
