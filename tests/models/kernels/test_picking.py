from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.kernels.picking import pick, real_steps


@pytest.mark.parametrize("ordered", [True, False])
def test_equals_the_mask_in_values_and_gradients(ordered: bool) -> None:
    mask = torch.rand(4, 3, 5) < 0.5
    sources = None if ordered else torch.tensor([2, 0, 3, 1])
    values = torch.randn(5, 4, 3, 6, dtype=torch.float64, requires_grad=True)
    turned = values.permute(1, 2, 0, 3)  # as the time loop leaves them
    expected = (turned if sources is None else turned[sources])[mask]
    picked = real_steps(turned, mask, sources)
    torch.testing.assert_close(picked, expected, rtol=0, atol=0)
    weights = torch.randn_like(expected)
    (wanted,) = torch.autograd.grad((weights * expected).sum(), values)
    (found,) = torch.autograd.grad((weights * picked).sum(), values)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_no_real_step_gives_none() -> None:
    assert real_steps(torch.randn(2, 1, 3, 4), torch.zeros(2, 1, 3, dtype=torch.bool)).shape == (0, 4)


def test_pick_equals_an_index_that_takes_nothing_twice() -> None:
    values = torch.randn(4, 6, 3, dtype=torch.float64, requires_grad=True)
    rows, positions = torch.tensor([2, 0])[:, None], torch.stack([torch.randperm(6)[:4] for _ in range(2)])
    expected, found = values[rows, positions], pick(values, rows, positions)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((weights * x).sum(), values)[0] for x in (expected, found)]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)
