from __future__ import annotations

import torch

from multimodal_attn.models.kernels.recurrence import plain_recurrence, recurrence


def test_equals_one_position_after_another_in_values_and_gradients() -> None:
    for size in (1, 2, 7, 8):
        decay = torch.rand(2, 3, size, dtype=torch.double, requires_grad=True)
        x = torch.randn(2, 3, size, dtype=torch.double, requires_grad=True)
        expected, found = plain_recurrence(decay, x), recurrence(decay, x)
        torch.testing.assert_close(found, expected)
        towards = torch.randn_like(expected)
        wanted = torch.autograd.grad((expected * towards).sum(), [decay, x], allow_unused=True)
        got = torch.autograd.grad((found * towards).sum(), [decay, x])
        torch.testing.assert_close(got[1], wanted[1])
        torch.testing.assert_close(got[0], torch.zeros_like(decay) if wanted[0] is None else wanted[0])
