"""What heads take of the values: each form gives what the definition does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models import kernels
from multimodal_attn.models.layers import heads
from multimodal_attn.models.layers.heads import attend, head_weights


def parts(queries: int, keys: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, size, 8, requires_grad=True) for size in (queries, keys, keys))
    mask = (torch.rand(2, 1, queries, keys) > 0.3) | (torch.arange(keys) == 0)
    return query, key, value, mask, torch.randn(3, queries, keys)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("queries", [1, 5])
def test_all_forms_are_equal(queries: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    *inputs, mask, bias = parts(queries, 7)
    given = (*inputs, mask, bias if with_bias else None)

    def found() -> list[Tensor]:
        out = attend(*given)
        return [out, *torch.autograd.grad(out.square().sum(), inputs)]

    few = found()
    with kernels.use(False):
        definition = found()
    monkeypatch.setattr(heads, "PLAIN_PAIRS", 0)
    monkeypatch.setattr(heads, "head_weights", None)  # the fused form does without
    torch.testing.assert_close(few, definition)
    torch.testing.assert_close(found(), definition, rtol=1e-4, atol=1e-5)


def test_weights_are_dropped_while_training(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, _, mask, _ = parts(5, 7)
    value = torch.eye(7).expand(2, 3, 7, 7)
    weights = head_weights(query, key, mask)
    for pairs in (heads.PLAIN_PAIRS, 0):
        monkeypatch.setattr(heads, "PLAIN_PAIRS", pairs)
        dropped = attend(query, key, value, mask, dropout=nn.Dropout(0.5))
        kept = dropped != 0
        assert kept.any()
        assert ((weights != 0) & ~kept).any()
        torch.testing.assert_close(dropped, torch.where(kept, 2 * weights, 0.0))
        torch.testing.assert_close(attend(query, key, value, mask, dropout=nn.Dropout(0.5).eval()), weights)


def test_long_sources_hold_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    fused = functional.scaled_dot_product_attention
    monkeypatch.setattr(functional, "scaled_dot_product_attention", lambda *all: called.append(1) or fused(*all))
    for keys in (256, 257):
        query, key, value, mask, _ = parts(256, keys)
        attend(query, key, value, mask)
        assert len(called) == keys - 256
