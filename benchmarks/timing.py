"""What the benchmarks share: interleaved timing, the ceiling of matrix products, a table."""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from multimodal_attn.machine import give_freed_memory_back, set_up_machine
from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.prediction.build import build_decoder
from multimodal_attn.runs.configuration import compose, plain


def configuration(*overrides: str) -> dict[str, Any]:
    """What train.py makes of a command line, with no data."""
    return plain(compose("train", [*overrides, "++data.root=none", "run_dir=none", "cache_dir=none"]))


def decoder_of(config: dict[str, Any], memory_dim: int, vocab_size: int) -> Decoder:
    """The decoder of a configuration with its attention, freshly initialized."""
    decoder: Decoder = build_decoder(config, ())(memory_dim=memory_dim, vocab_size=vocab_size)
    return decoder


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="times that each variant runs, in turn")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


def ceiling(device: str, dtype: torch.dtype = torch.float32, size: int = 2048) -> float:
    """Multiply-adds per second of one large matrix product, the best of ten."""
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(10):
        start = _now(device)
        left @ right
        seconds.append(_now(device) - start)
    return size**3 / min(seconds)


def interleave(variants: dict[str, Callable[[], Any]], rounds: int, device: str) -> dict[str, dict[str, float]]:
    """Runs every variant once to warm up, once for its memory, then all of them in turn, so that other load falls on
    all alike.

    Ours multiply matrices and keep memory as train.py and evaluate.py do, those that are named "naive" and other
    toolkits as torch and the C library do by themselves.

    Returns:
        for each variant the median and minimum of wall time and the median of CPU time, in milliseconds, and the peak
        of its memory.
    """
    peaks = {}
    for name, variant in variants.items():
        _set_up(name)
        variant()
        peaks[name] = peak_above(variant, device)
    walls: dict[str, list[float]] = {name: [] for name in variants}
    cpus: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            _set_up(name)
            start, cpu = _now(device), time.process_time()
            variant()
            walls[name].append(_now(device) - start)
            cpus[name].append(time.process_time() - cpu)
    return {
        name: {
            "median_ms": 1000 * median(walls[name]),
            "minimum_ms": 1000 * min(walls[name]),
            "cpu_ms": 1000 * median(cpus[name]),
            "peak_mb": peaks[name],
        }
        for name in variants
    }


def peak_above(run: Callable[[], Any], device: str) -> float:
    """MB that a call takes at its peak above what is held before it; nan where the system does not tell."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what earlier calls freed would hide what this one takes
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident now
    except (AttributeError, OSError):
        return math.nan
    held_mb = _resident_mb("VmRSS")
    run()
    return _resident_mb("VmHWM") - held_mb


def _resident_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return math.nan


def report(
    title: str, results: dict[str, dict[str, float]], multiply_adds: float, options: argparse.Namespace, naive: str
) -> None:
    """Prints a table and writes the json; ratios are to the variant named ``naive``."""
    set_up_machine()
    peak = ceiling(options.device)
    threads = torch.get_num_threads()
    print(f"{title}; torch {torch.__version__}, {options.device}, {threads} threads, {options.rounds} rounds")
    print(f"{multiply_adds / 1e9:.1f} G multiply-adds; one large fp32 product makes {peak / 1e9:.0f} G/s")
    print(f"| variant | median ms | minimum ms | CPU ms | ratio to {naive} | share of the fp32 ceiling | peak MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, result in results.items():
        result["ratio"] = results[naive]["median_ms"] / result["median_ms"]
        result["share_of_ceiling"] = multiply_adds / peak / (result["median_ms"] / 1000)
        print(
            f"| {name} | {result['median_ms']:.0f} | {result['minimum_ms']:.0f} | {result['cpu_ms']:.0f}"
            f" | {result['ratio']:.2f} | {result['share_of_ceiling']:.2f} | {result['peak_mb']:.0f} |"
        )
    if options.json:
        options.json.write_text(json.dumps({"title": title, "results": results}, indent=2))


def _set_up(variant: str) -> None:
    torch.set_float32_matmul_precision("highest")
    if variant.startswith(("naive", "SpeechBrain")):
        give_freed_memory_back()
    else:
        set_up_machine()


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()
