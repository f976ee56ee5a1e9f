"""Which library multiplies fp32 matrices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from multimodal_attn.runs import products


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def test_products_stay_fp32() -> None:
    products.choose_products()
    assert torch.get_float32_matmul_precision() in ("medium", "high")
    assert products.product_error() < 1e-5


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU gets TF32 whatever the CPU does")
@pytest.mark.parametrize(("error", "chosen"), [(1e-6, "medium"), (3e-3, "high")])
def test_a_cpu_that_rounds_is_left_alone(error: float, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "product_error", lambda: error)
    products.choose_products()
    assert torch.get_float32_matmul_precision() == chosen


def test_the_users_choice_stays() -> None:
    torch.set_float32_matmul_precision("high")
    products.choose_products()
    assert torch.get_float32_matmul_precision() == "high"
