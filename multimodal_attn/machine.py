"""How a process that trains or decodes uses the machine: which library multiplies, and what becomes of freed memory."""

from __future__ import annotations

import ctypes
import logging
import os
import time

import torch

from multimodal_attn.first_line import first_line

log = logging.getLogger(__name__)

_FAST_ENOUGH = 2 / 3  # of fp32's time that bf16 may take
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


def suitable_precision(accelerator: str) -> str:
    """What ``trainer.precision=auto`` means here: "bf16-mixed" where the machine multiplies faster in bf16.

    A GPU says so itself. On a CPU a short probe decides, since some have instructions for bf16 and the others convert
    every number: a product must take at most two thirds of the time that it takes in fp32.

    Args:
        accelerator: of Lightning's trainer.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        reason = f"the GPU computes {'' if fast else 'no '}bf16"
    elif accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        fast, reason = False, "an Apple GPU"
    else:
        ratio = _product_seconds(torch.bfloat16) / _product_seconds(torch.float32)
        fast, reason = ratio <= _FAST_ENOUGH, f"a product in bf16 takes {ratio:.2f} of the time in fp32 on this CPU"
    chosen = "bf16-mixed" if fast else "32-true"
    log.info("trainer.precision: auto is %s here (%s)", chosen, reason)
    return chosen


def _product_seconds(dtype: torch.dtype) -> float:
    """The shortest of some products: what a busy machine adds is never negative."""
    left = torch.ones(256, 512, dtype=dtype)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        left @ left.T
        times.append(time.perf_counter() - start)
    return min(times[2:])


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


def check_device(name: str) -> None:
    """Refuses a device that is not there.

    Raises:
        ValueError: names it.
    """
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device: {name!r} cannot be used here; expected cpu or auto ({first_line(error)})") from None
