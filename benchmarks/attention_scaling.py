"""Time and memory of one step of every attention mechanism, forward and backward, against the length of the memory.

    python benchmarks/attention_scaling.py [--sizes 64 1024 65536] [--json FILE] [--figure FILE]

Mechanisms are those of conf/attention/*.yaml, with the values that stand there. The projection of the memory, which is
made once per source, and the gradients of its parameters are not part of a step; the gradients of what it projected
are. Memory is the peak of what a step allocates, above its inputs. On a GPU, where there is one, it is counted by
torch's allocator, on a CPU from the allocations that torch's profiler records.

Exponents are fitted to the upper half of the sizes, in logarithms: 1 is linear in the length of the memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from multimodal_attn.models.attention.base import Attention
from multimodal_attn.parts import part
from multimodal_attn.types import Memory, Timeline

CONF = Path(__file__).parents[1] / "conf" / "attention"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#000000", "#cc79a7", "#8c564b", "#7f7f00")
LINES = ("-", "--", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIZES = [2**power for power in range(6, 17)]


def mechanisms() -> list[str]:
    """Names of the yamls in conf/attention."""
    return sorted(path.stem for path in CONF.glob("*.yaml"))


def make_step(name: str, size: int, device: str, batch: int, rows: int, width: int) -> Callable[[], None]:
    """One step in training, forward and backward, on random inputs.

    Args:
        name: of the mechanism's yaml.
        size: S, positions of the memory, all of them real.
        device: to run on.
        batch: B. rows: K. width: D of the memory and H of the query.
    """
    torch.manual_seed(0)
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    attention = part("attention", node, Attention)(query_dim=width, memory_dim=width)
    attention.to(device).train()
    states = torch.randn(batch, size, width, device=device)
    memory = Memory(states, torch.ones(batch, size, dtype=torch.bool, device=device), Timeline(0.04))
    query = torch.randn(batch, rows, width, device=device, requires_grad=True)
    with torch.no_grad():
        projected = attention.project(memory)
        # The state that a first step leaves: later steps are what a text consists of.
        state = attention(query, projected, memory, attention.start(memory, rows)).state
    projected = tuple(tensor.clone().requires_grad_() for tensor in projected)
    states.requires_grad_()
    inputs = [query, states, *projected, *attention.parameters()]
    if state is not None and state.is_floating_point():  # hard attention's is a choice
        state = state.clone().requires_grad_()
        inputs.append(state)
    towards = torch.randn(batch, rows, width, device=device)

    def step() -> None:
        attended = attention(query, projected, memory, state)  # with its weights, which a decoder keeps
        # Not backward(): gradients kept from one step would be freed within the next, and blur its memory.
        torch.autograd.grad((attended.context * towards).sum(), inputs, allow_unused=True)

    return step


def milliseconds(step: Callable[[], None], device: str, repeats: int) -> float:
    """Median wall time of a step, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def peak_bytes(step: Callable[[], None], device: str) -> int:
    """The largest sum of what a step holds at a time, without its inputs."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as recorded:
        step()
    assert recorded.profiler is not None
    events = recorded.profiler.kineto_results.events()
    changes = [
        (e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]" and e.device_type() == DeviceType.CPU
    ]
    held = np.cumsum([change for _, change in sorted(changes, key=lambda change: change[0])])
    return int(held.max(initial=0))


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of log value over log size, by least squares over the upper half of the sizes (two at least)."""
    first = min(len(sizes) // 2, len(sizes) - 2)
    return float(np.polyfit(np.log(sizes[first:]), np.log(values[first:]), 1)[0])


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One result for each mechanism and device: sizes, times, peaks and exponents."""
    results = []
    for device in options.devices:
        for name in options.mechanisms:
            times, peaks = [], []
            for size in options.sizes:
                step = make_step(name, size, device, options.batch, options.rows, options.width)
                times.append(milliseconds(step, device, options.repeats))
                peaks.append(peak_bytes(step, device))
            result = {
                "mechanism": name,
                "device": device,
                "sizes": options.sizes,
                "milliseconds": times,
                "peak_bytes": peaks,
                "time_exponent": exponent(options.sizes, times),
                "memory_exponent": exponent(options.sizes, [float(peak) for peak in peaks]),
            }
            results.append(result)
            print(
                f"{device:4} {name:20} {times[0]:9.3f} to {times[-1]:9.3f} ms (S^{result['time_exponent']:.2f}),"
                f" {peaks[0] / 2**20:8.2f} to {peaks[-1] / 2**20:8.2f} MiB (S^{result['memory_exponent']:.2f})",
                flush=True,
            )
    return results


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Time and memory over the length of the memory, both logarithmic; a row of two for each device."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    devices = list(dict.fromkeys(result["device"] for result in results))
    figure, axes = pyplot.subplots(len(devices), 2, figsize=(16, 5.5 * len(devices)), squeeze=False)
    # A mechanism looks the same in every panel: of those with the same color, each has a dash and a marker of its own.
    names = sorted({result["mechanism"] for result in results})
    styles = {
        name: {
            "color": COLORS[number % len(COLORS)],
            "linestyle": LINES[number // len(COLORS) % len(LINES)],
            "marker": MARKERS[number % len(MARKERS)],
        }
        for number, name in enumerate(names)
    }
    for row, device in zip(axes, devices, strict=True):
        for axis, key, slope, label, unit in (
            (row[0], "milliseconds", "time_exponent", "milliseconds a step", 1),
            (row[1], "peak_bytes", "memory_exponent", "peak MiB of a step", 2**20),
        ):
            # The legend is in the order in which the lines end.
            drawn = (result for result in results if result["device"] == device)
            for result in sorted(drawn, key=lambda result: result[key][-1], reverse=True):
                axis.loglog(
                    result["sizes"],
                    np.array(result[key]) / unit,
                    markersize=5,
                    linewidth=1.4,
                    label=f"{result['mechanism']}  S^{result[slope]:.2f}",
                    **styles[result["mechanism"]],
                )
            axis.set(title=device, xlabel="S, memory positions", ylabel=label)
            axis.grid(True, which="major", alpha=0.3)
            axis.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))  # beside the lines
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="lengths S of the memory, two or more")
    parser.add_argument("--mechanisms", nargs="+", default=mechanisms(), choices=mechanisms(), metavar="NAME")
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    parser.add_argument("--devices", nargs="+", default=devices, choices=devices)
    parser.add_argument("--batch", type=int, default=1, help="sources B")
    parser.add_argument("--rows", type=int, default=1, help="rows K that share a source")
    parser.add_argument("--width", type=int, default=256, help="of the memory and of the query")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--figure", type=Path, help="also draw them, log-log, with the fitted exponents")
    options = parser.parse_args(arguments)
    options.sizes = sorted(set(options.sizes))
    if len(options.sizes) < 2 or options.sizes[0] < 1:
        parser.error("--sizes: expected two or more lengths above 0")
    return options


def main() -> None:
    options = parse()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, B {options.batch}, K {options.rows}")
    results = measure(options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    if options.figure:
        draw(results, options.figure)


if __name__ == "__main__":
    main()
