"""Which library multiplies fp32 matrices, and what becomes of freed memory."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from multimodal_attn import machine


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def test_products_stay_fp32() -> None:
    machine.choose_products()
    assert torch.get_float32_matmul_precision() in ("medium", "high")
    assert machine.product_error() < 1e-5


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU gets TF32 whatever the CPU does")
@pytest.mark.parametrize(("error", "chosen"), [(1e-6, "medium"), (3e-3, "high")])
def test_a_cpu_that_rounds_is_left_alone(error: float, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "product_error", lambda: error)
    machine.choose_products()
    assert torch.get_float32_matmul_precision() == chosen


def test_the_users_choice_stays() -> None:
    torch.set_float32_matmul_precision("high")
    machine.choose_products()
    assert torch.get_float32_matmul_precision() == "high"


_FAULTS = """
import resource, sys, torch
from multimodal_attn import machine
print(eval(sys.argv[1]))
def step():
    arrays = [torch.ones(2**20) for _ in range(50)]  # 4 MiB each: 51,200 pages in all
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_used_again() -> None:
    def faults(setting: str) -> int:
        command = [sys.executable, "-c", _FAULTS, setting]
        changed, number = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert changed == "True"
        return int(number)

    assert faults("machine.keep_freed_memory()") < 1000
    # Every array mapped and unmapped by itself: pages that are made anew do count.
    assert faults("machine._set_malloc(2**17, 2**17)") > 40_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_the_usual_setting_can_be_had_back() -> None:
    command = [sys.executable, "-c", _FAULTS, "machine.give_freed_memory_back()"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0] == "True"


@pytest.mark.parametrize(
    ("name", "value"), [("MALLOC_TRIM_THRESHOLD_", "1"), ("GLIBC_TUNABLES", "glibc.malloc.check=0")]
)
def test_what_the_user_chose_for_memory_stays(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(machine, "_set_malloc", lambda *_: pytest.fail("changed"))
    assert machine.keep_freed_memory() is False
