"""Which library multiplies fp32 matrices, and how exactly."""

from __future__ import annotations

import torch

_LARGEST_ERROR = 1e-5  # of fp32 it is some 1e-6, of operands rounded to bf16 3e-3


def choose_products() -> None:
    """Lets fp32 matrix products be TF32 on a GPU, and go through oneDNN on a CPU where that keeps them fp32.

    oneDNN multiplies the narrow matrices of a decoder's step faster than torch's default, but torch offers it for fp32
    only together with the permission to round operands to bf16. A CPU without AMX makes no use of that permission; the
    error of one product shows whether this one does. A precision that the user has chosen stays.
    """
    if torch.get_float32_matmul_precision() != "highest":
        return
    torch.set_float32_matmul_precision("medium")
    if torch.cuda.is_available() or product_error() > _LARGEST_ERROR:
        torch.set_float32_matmul_precision("high")


def product_error() -> float:
    """Relative error of a product of two fp32 matrices on the CPU."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 256, 256, generator=generator)
    exact = left.double() @ right.double()
    return float((left @ right - exact).norm() / exact.norm())
