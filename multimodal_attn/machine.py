"""How a process that trains or decodes uses the machine: which library multiplies, and what becomes of freed memory."""

from __future__ import annotations

import ctypes
import os

import torch

_LARGEST_ERROR = 1e-5  # of fp32 it is some 1e-6, of operands rounded to bf16 3e-3
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of the C library's settings, from malloc.h
_NEVER, _LARGEST_MMAP_THRESHOLD = 2**31 - 1, 2**25


def set_up_machine() -> None:
    """What every command that computes does first."""
    choose_products()
    keep_freed_memory()


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


def keep_freed_memory() -> bool:
    """Keeps the memory of freed arrays for the next ones, where the C library is glibc; says whether it does.

    By itself it gives what lies above 64 MiB back to the system, which hands it out again, emptied, page by page, in
    every step. Arrays larger than 32 MiB still go back. What the user has chosen by environment variables stays.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    return _set_malloc(_NEVER, _LARGEST_MMAP_THRESHOLD)


def give_freed_memory_back() -> bool:
    """As glibc does by itself, once an array of 32 MiB has been freed; says whether that could be set."""
    return _set_malloc(2 * _LARGEST_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)


def _set_malloc(trim_threshold: int, mmap_threshold: int) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; no such call on Windows
        return False
    return bool(mallopt(_TRIM_THRESHOLD, trim_threshold)) and bool(mallopt(_MMAP_THRESHOLD, mmap_threshold))
