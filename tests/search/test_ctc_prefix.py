"""Prefix probabilities against the sum over every path."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from multimodal_attn.search.ctc_prefix import IMPOSSIBLE, CTCPrefix
from multimodal_attn.types import EOS, PAD

VOCAB, POSITIONS = 6, 5


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != PAD)


def by_enumeration(probabilities: Tensor, prefix: tuple[int, ...], whole: bool) -> float:
    """log p that the text begins with ``prefix``, or is it: (S, V) probabilities."""
    total = 0.0
    for path in itertools.product(range(VOCAB), repeat=len(probabilities)):
        text = collapse(path)
        if text == prefix if whole else text[: len(prefix)] == prefix:
            total += math.prod(float(probabilities[t, token]) for t, token in enumerate(path))
    return math.log(total) if total else IMPOSSIBLE


@pytest.fixture(scope="module")
def logits() -> Tensor:
    return torch.randn(2, POSITIONS, VOCAB, generator=torch.Generator().manual_seed(0)) * 2


@pytest.mark.parametrize("text", [(4, 5), (4, 4), (5, 4, 4), (4, 5, 4, 5)])
def test_scores_are_those_of_all_paths(logits: Tensor, text: tuple[int, ...]) -> None:
    mask = torch.arange(POSITIONS) < torch.tensor([POSITIONS, 4])[:, None]
    probabilities = logits.double().softmax(-1)
    scorer = CTCPrefix(logits, mask, rows=1)
    candidates = torch.tensor([4, 5, EOS]).expand(2, 1, 3)
    for length in range(len(text) + 1):
        found = scorer.score(candidates)[:, 0] + scorer.total.float()
        for source, positions in enumerate((POSITIONS, 4)):
            real, prefix = probabilities[source, :positions], text[:length]
            expected = [by_enumeration(real, (*prefix, token), whole=False) for token in (4, 5)]
            expected.append(by_enumeration(real, prefix, whole=True))
            torch.testing.assert_close(found[source], torch.tensor(expected), rtol=1e-4, atol=1e-3)
        if length < len(text):
            scorer.advance(torch.zeros(2, 1, dtype=torch.long), torch.full((2, 1), text[length]))


def test_rows_follow_their_origins(logits: Tensor) -> None:
    mask = torch.ones(2, POSITIONS, dtype=torch.bool)
    swapped, straight = CTCPrefix(logits, mask, rows=2), CTCPrefix(logits, mask, rows=2)
    candidates = torch.tensor([4, 5, EOS]).expand(2, 2, 3)
    swapped.advance(torch.tensor([[0, 1], [0, 1]]), torch.tensor([[4, 5], [4, 5]]))
    swapped.advance(torch.tensor([[1, 1], [1, 0]]), torch.tensor([[4, 5], [4, 5]]))
    straight.advance(torch.tensor([[0, 1], [0, 1]]), torch.tensor([[5, 5], [5, 4]]))
    straight.advance(torch.tensor([[0, 1], [0, 1]]), torch.tensor([[4, 5], [4, 5]]))
    torch.testing.assert_close(swapped.score(candidates), straight.score(candidates))
    torch.testing.assert_close(swapped.total, straight.total)


def test_long_recordings_keep_their_precision() -> None:
    logits = torch.randn(1, 1500, VOCAB, generator=torch.Generator().manual_seed(1)) * 6
    text = torch.randint(4, VOCAB, (30,), generator=torch.Generator().manual_seed(2))
    scorer = CTCPrefix(logits, torch.ones(1, 1500, dtype=torch.bool), rows=1)
    for token in text:
        scorer.advance(torch.zeros(1, 1, dtype=torch.long), token[None, None])
    whole = scorer.score(torch.tensor([[[EOS]]])).item() + scorer.total.item()
    expected = -torch.nn.functional.ctc_loss(
        logits.double().log_softmax(-1).transpose(0, 1), text[None], (1500,), (30,), blank=PAD, reduction="sum"
    )
    assert whole == pytest.approx(float(expected), rel=1e-5)
