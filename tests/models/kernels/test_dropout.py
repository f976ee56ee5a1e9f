"""Dropout that draws eight elements at once, against what dropout is."""

from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.kernels.dropout import SMALL, Dropout


@pytest.mark.parametrize("size", [SMALL // 2, 100_003])
@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_drops_the_given_share_and_keeps_the_mean(size: int, probability: float) -> None:
    torch.manual_seed(0)
    dropped = torch.stack([Dropout(probability)(torch.ones(size)) for _ in range(40)])
    assert (dropped == 0).float().mean().item() == pytest.approx(probability, abs=5e-3)
    assert dropped.mean().item() == pytest.approx(1.0, abs=5e-3)
    assert len(dropped[dropped != 0].unique()) == 1  # every element that stays is scaled alike


def test_elements_are_independent() -> None:
    torch.manual_seed(0)
    zeros = (Dropout(0.5)(torch.ones(5000, 64)) == 0).float() - 0.5
    correlation = zeros.T @ zeros / len(zeros) / 0.25
    assert (correlation - torch.eye(64)).abs().max().item() < 0.1  # 7 standard errors of 5,000 draws


def test_gradient_goes_through_what_stays() -> None:
    x = torch.randn(100, 100, requires_grad=True)
    dropped = Dropout(0.3)(x)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad * x, dropped)


def test_does_nothing_outside_of_training() -> None:
    x = torch.randn(100, 100)
    assert Dropout(0.3).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_same_seed_drops_the_same() -> None:
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(Dropout(0.5)(torch.ones(100, 100)))
    assert torch.equal(*outputs)
