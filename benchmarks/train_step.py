"""Times one training step of each default model: ``python benchmarks/train_step.py [--steps 15] [--json FILE]``.

Each model is built from its experiment's yaml, as train.py builds it, and takes the same random batch again and again:
forward, backward, clipping and the optimiser's step, in the precision that train.py chooses here. Prints median and
minimum, and captions or seconds of audio per second.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from timing import configuration

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.machine import set_up_machine, suitable_precision
from multimodal_attn.runs.build import build_module
from multimodal_attn.training.callbacks.step_cost import peak_memory_mb
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import BOS, Batch

# experiment -> words in the vocabulary, words a caption (None: speech), seconds a recording, characters a transcript
WORKLOADS: dict[str, dict[str, Any]] = {
    "show_attend_tell_shapes": {"words": 60, "length": 15},
    "show_attend_tell_flickr8k": {"words": 2600, "length": 12},
    "listen_attend_spell_spoken": {"seconds": 2.5, "length": 28},
    "listen_attend_spell_grid": {"seconds": 3.0, "length": 26},
}


def random_batch(config: dict[str, Any], module: Seq2SeqModule, workload: dict[str, Any]) -> Batch:
    """A batch of the experiment's size, full to the last position."""
    data = config["data"]
    size, rows = data["batch_size"], data["texts_per_source"] or 5
    if "seconds" in workload:
        rows = 1
        samples = int(workload["seconds"] * data["sample_rate"])
        source, lengths = 0.1 * torch.randn(size, samples), torch.full((size,), samples)
    else:
        pictures = torch.randint(0, 256, (size, 3, data["image_size"], data["image_size"]), dtype=torch.uint8)
        source, lengths = pictures, torch.ones(size, dtype=torch.long)
    encoded = module.model.encoder.frozen  # as training takes it: from the feature cache
    if encoded:
        source, lengths = module.model.encoder.extract(source, lengths)
        source = source.half()
    tokens = torch.randint(4, len(module.predictor.tokenizer), (size, rows, workload["length"] + 2))
    tokens[..., 0] = BOS
    mask = torch.ones_like(tokens, dtype=torch.bool)
    return Batch([str(i) for i in range(size)], source, lengths, tokens, mask, [() for _ in range(size)], encoded)


def measure(experiment: str, steps: int) -> dict[str, Any]:
    """Times ``steps`` training steps after three that do not count."""
    workload, config = WORKLOADS[experiment], configuration(f"experiment={experiment}")
    precision = suitable_precision("cpu")
    words = [f"word{i}" for i in range(workload.get("words", 0))]
    tokenizer = WordTokenizer().fit(words) if words else CharacterTokenizer().fit(["abcdefghijklmnopqrstuvwxyz '"])
    module = build_module(config, tokenizer).train()
    optimizer = module.make_optimizer(module.model)
    batch = random_batch(config, module, workload)
    times = []
    for step in range(steps + 3):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            output, memory = module.model(batch)
            loss, _ = module.losses(batch, memory, output)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step >= 3:
            times.append(time.perf_counter() - start)
    times.sort()
    median = times[len(times) // 2]
    captions = len(batch) * batch.tokens.shape[1]
    rate, unit = (
        (captions / median, "captions/s") if words else (len(batch) * workload["seconds"] / median, "audio-s/s")
    )
    return {
        "experiment": experiment,
        "precision": precision,
        "median_ms": 1000 * median,
        "minimum_ms": 1000 * times[0],
        "rate": rate,
        "unit": unit,
        "batch_size": len(batch),
        "peak_memory_mb": peak_memory_mb("cpu"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.steps} steps after 3 to warm up")
    set_up_machine()
    results = []
    for experiment in WORKLOADS:
        result = measure(experiment, options.steps)
        results.append(result)
        print(
            f"{experiment:28} {result['precision']:10} batch {result['batch_size']:3}: median"
            f" {result['median_ms']:7.0f} ms, minimum"
            f" {result['minimum_ms']:7.0f} ms, {result['rate']:7.1f} {result['unit']}, peak so far"
            f" {result['peak_memory_mb']:.0f} MB"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
