"""Memory of a training step against the length of a source text, with windows of self-attention and without.

    python benchmarks/source_length.py [--sizes 250 1000 4000] [--windows 0 64 256] [--json FILE] [--figure FILE]

The model is that of experiment=point_generate_dialogsum with encoder=text_transformer: three layers of self-attention,
and the recurrent decoder with its pointers as it is. It takes three steps on random words, forward, backward and the
optimizer's, each combination in a process of its own. Memory is the most that the process ever held (resident, Linux)
above what it held before the first step. A window of 0 reads everything.

Exponents are fitted to the upper half of the sizes, in logarithms: 1 is linear in the length.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from attention_scaling import exponent
from timing import configuration

from multimodal_attn.data.tokenizers.copying_word import CopyingWordTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.machine import set_up_machine
from multimodal_attn.runs.build import build_module
from multimodal_attn.types import Example, Target

STEPS, WORDS, SUMMARY = 3, 5000, 40


def peak_mb(window: int, size: int, batch: int) -> float:
    """Of three steps, in this process.

    Args:
        window: tokens to either side; 0 for all.
        size: tokens of each source.
        batch: sources of a step.
    """
    set_up_machine()
    torch.manual_seed(0)
    chosen = f"encoder.window={window or 'null'}"
    config = configuration("experiment=point_generate_dialogsum", "encoder=text_transformer", chosen)
    words = [f"word{number}" for number in range(WORDS)]
    module = build_module(config, CopyingWordTokenizer().fit(words), WordTokenizer().fit(words)).train()
    optimizer = module.make_optimizer(module.model)
    draw = random.Random(0)
    texts = [" ".join(draw.choices(words, k=size - 1)) for _ in range(batch)]  # <eos> is a token too
    examples = [Example(text[:9], text, (Target(" ".join(draw.choices(text.split(), k=SUMMARY))),)) for text in texts]
    data = module.predictor.collate(examples)
    before = _status("VmRSS")
    for _ in range(STEPS):
        output, memory = module.model(data)
        loss, _ = module.losses(data, memory, output)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return _status("VmHWM") - before


def _status(name: str) -> float:
    """A figure of the process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """For each window the peaks by size, and how they grow."""
    results = []
    for window in options.windows:
        peaks = []
        for size in options.sizes:
            command = [sys.executable, __file__, "--one", str(window), str(size), "--batch", str(options.batch)]
            peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]))
        result = {
            "window": window,
            "sizes": options.sizes,
            "peak_mb": peaks,
            "exponent": exponent(options.sizes, peaks),
        }
        results.append(result)
        shown = " ".join(f"{peak:8.0f}" for peak in peaks)
        print(f"window {window or 'all':>4}: {shown} MB (S^{result['exponent']:.2f})", flush=True)
    return results


def draw_figure(results: list[dict[str, Any]], path: Path) -> None:
    """Memory over the number of tokens, both logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4.2))
    for result, marker in zip(results, "osD^v", strict=False):
        name = f"window of {result['window']} tokens" if result["window"] else "all tokens read all"
        label = f"{name}: S^{result['exponent']:.2f}"
        axis.loglog(result["sizes"], result["peak_mb"], marker=marker, linewidth=1.6, label=label)
    axis.set(xlabel="S, tokens of the source", ylabel="peak memory of a training step, MB")
    axis.set_xticks(results[0]["sizes"], [str(size) for size in results[0]["sizes"]])
    axis.minorticks_off()
    axis.grid(True, alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 500, 1000, 2000, 4000], help="two or more")
    parser.add_argument("--windows", type=int, nargs="+", default=[0, 64, 256], help="tokens to either side; 0: all")
    parser.add_argument("--batch", type=int, default=1, help="sources of a step")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--figure", type=Path, help="also draw them")
    parser.add_argument("--one", type=int, nargs=2, metavar=("WINDOW", "SIZE"), help="one measurement, in this process")
    options = parser.parse_args(arguments)
    options.sizes = sorted(set(options.sizes))
    if len(options.sizes) < 2 or options.sizes[0] < 2:
        parser.error("--sizes: expected two or more lengths above 1")
    return options


def main() -> None:
    options = parse()
    if options.one:
        print(peak_mb(*options.one, options.batch))
        return
    results = measure(options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    if options.figure:
        draw_figure(results, options.figure)


if __name__ == "__main__":
    main()
