"""Monotonic and chunkwise attention against their definitions, walk by walk."""

from __future__ import annotations

import itertools

import pytest
import torch

from multimodal_attn.models.attention.mocha import spread_over_chunks
from multimodal_attn.models.attention.monotonic import MonotonicAttention, expected_alignment, hard_alignment
from multimodal_attn.types import Memory, Timeline

ALL = torch.ones(1, 4, dtype=torch.bool)


def rows(*values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)[None]


def test_expected_alignment_by_hand() -> None:
    # Stops with 1/2 at each position, from the first: 1/2, 1/4, 1/8, and what is left at the last.
    zeros = rows([0.0] * 4)
    found = expected_alignment(zeros, ALL, rows([1.0, 0.0, 0.0, 0.0]))
    torch.testing.assert_close(found, rows([0.5, 0.25, 0.125, 0.125]))
    # The next step starts from there; at the third, 1/2 of (1/8 + 1/2 of (1/4 + 1/2 of 1/2)).
    found = expected_alignment(zeros, ALL, found)
    torch.testing.assert_close(found, rows([0.25, 0.25, 0.1875, 0.3125]))


def test_expected_alignment_is_the_mean_over_walks() -> None:
    scores = torch.randn(2, 1, 1, 4, dtype=torch.double)
    previous = rows([1.0, 0.0, 0.0, 0.0])
    for score in scores:
        previous = expected_alignment(score, ALL, previous)
    # Two steps, four positions: every pair of stops, with the probability of the walk that makes it.
    stop = scores[:, 0, 0].sigmoid()
    stop[:, 3] = 1.0
    expected = torch.zeros(4, dtype=torch.double)
    for first, second in itertools.combinations_with_replacement(range(4), 2):
        expected[second] += (
            (1 - stop[0, :first]).prod() * stop[0, first] * (1 - stop[1, first:second]).prod() * stop[1, second]
        )
    torch.testing.assert_close(previous[0, 0], expected)


def test_padding_is_passed_and_the_last_real_position_stops() -> None:
    mask = torch.tensor([[True, False, True, False]])
    start = rows([1.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(expected_alignment(rows([0.0] * 4), mask, start), rows([0.5, 0.0, 0.5, 0.0]))
    torch.testing.assert_close(hard_alignment(rows([-1.0] * 4), mask, start), rows([0.0, 0.0, 1.0, 0.0]))


def test_gradient_of_the_expected_alignment_is_that_of_finite_differences() -> None:
    scores = torch.randn(2, 3, 7, dtype=torch.double, requires_grad=True)
    previous = torch.rand(2, 3, 7, dtype=torch.double, requires_grad=True)
    mask = torch.arange(7) < torch.tensor([[7], [5]])
    assert torch.autograd.gradcheck(lambda s, p: expected_alignment(s, mask, p), (scores, previous))


def test_expected_alignment_of_long_memories_neither_under_nor_overflows() -> None:
    size = 5000  # 0.88 ** 5000 is 0 in float32: quotients of cumulative products would be 0 / 0
    mask = torch.ones(1, size, dtype=torch.bool)
    start = torch.zeros(1, 1, size)
    start[..., 0] = 1
    scores = torch.full((1, 1, size), -2.0, requires_grad=True)
    found = start
    for _ in range(60):
        found = expected_alignment(scores, mask, found)
    assert found.sum().item() == pytest.approx(1, abs=1e-4)
    # Each step goes e^2 positions on.
    mean = (found[0, 0] * torch.arange(size)).sum()
    assert mean.item() == pytest.approx(60 * 2.718282**2, rel=1e-3)
    mean.backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_decided_scores_make_the_expected_alignment_the_hard_one() -> None:
    scores = 80 * torch.randn(3, 1, 2, 6, dtype=torch.double).sign()
    mask = torch.ones(1, 6, dtype=torch.bool)
    soft = hard = torch.eye(6, dtype=torch.double)[[0, 0]][None]
    for score in scores:
        soft, hard = expected_alignment(score, mask, soft), hard_alignment(score, mask, hard)
        torch.testing.assert_close(soft, hard)
    assert hard.argmax(-1).max() > 0


def test_hard_alignment_never_goes_back() -> None:
    scores = rows([1.0, -1.0, 1.0, -1.0])
    torch.testing.assert_close(hard_alignment(scores, ALL, rows([0, 1.0, 0, 0])), rows([0, 0, 1.0, 0]))
    torch.testing.assert_close(hard_alignment(scores, ALL, rows([0, 0, 1.0, 0])), rows([0, 0, 1.0, 0]))
    torch.testing.assert_close(hard_alignment(scores, ALL, rows([0, 0, 0, 1.0])), rows([0, 0, 0, 1.0]))


def test_chunks_by_hand() -> None:
    log = torch.log
    scores = log(rows([1.0, 3.0, 1.0, 2.0]))
    # All at the third: it and the second share by 3 : 1.
    found = spread_over_chunks(rows([0, 0, 1.0, 0]), scores, ALL, 2)
    torch.testing.assert_close(found, rows([0.0, 0.75, 0.25, 0.0]))
    # The first chunk has one position; halves at the first and at the last (1 : 2).
    found = spread_over_chunks(rows([0.5, 0, 0, 0.5]), scores, ALL, 2)
    torch.testing.assert_close(found, rows([0.5, 0.0, 1 / 6, 1 / 3]))
    # Chunks far below the best score of the memory are as good as any.
    found = spread_over_chunks(rows([0, 0, 1.0, 0]), rows([0, -2000.0, -2000.0, 0]), ALL, 2)
    torch.testing.assert_close(found, rows([0.0, 0.5, 0.5, 0.0]))
    assert torch.equal(spread_over_chunks(rows([0, 0.5, 0.5, 0]), scores, ALL, 1), rows([0, 0.5, 0.5, 0]))


def test_noise_is_of_training_only() -> None:
    attention = MonotonicAttention(3, 5, 4)
    memory = Memory(torch.linspace(-2, 2, 20).view(1, 4, 5), ALL, Timeline(0.04))
    query = torch.linspace(-1, 1, 6).view(1, 2, 3)
    weights: list[torch.Tensor] = []
    for training in (True, True, False, False):
        attention.train(training)
        weights.append(attention(query, attention.project(memory), memory, attention.start(memory, 2)).weights)
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[2], weights[3])
    assert set(weights[2].unique().tolist()) == {0.0, 1.0}
