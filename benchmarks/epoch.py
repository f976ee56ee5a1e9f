"""Times an epoch of train.py and says what it goes into.

    python benchmarks/epoch.py experiment=show_attend_tell_flickr8k data.root=... [--epochs 2] [--json FILE]

Trains as train.py does, in a folder that is deleted afterwards, and reports the last epoch: reading and batching, the
model (forward, losses and backward), the optimiser, the rest of a step (logging, progress, callbacks), validation and
drawing the attention maps. The first epoch, which warms up and fills caches, is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import SimpleProfiler

from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.runs.train import train


def shares(durations: dict[str, list[float]], epochs: int) -> dict[str, float]:
    """Seconds of the last epoch by what they went into.

    Args:
        durations: of every action that Lightning's profiler knows.
        epochs: how many were trained.
    """

    def last(*ends: str) -> float:
        """Of all actions whose names end so, their last epoch's."""
        total = 0.0
        for name, seconds in durations.items():
            if name.endswith(ends):
                total += sum(seconds[len(seconds) - len(seconds) // epochs :])
        return total

    whole = durations["run_training_epoch"][-1]
    model = last("Strategy.training_step", "Strategy.backward")
    maps = last("AttentionMaps.on_validation_epoch_end", "AttentionMaps.on_validation_batch_end")
    parts = {
        "data": last("].train_dataloader_next"),
        "model": model,
        # The optimiser's step calls the model through a closure.
        "optimiser": last("Seq2SeqModule.optimizer_step") - model,
        "validation": last("Seq2SeqModule.on_validation_epoch_end", "Strategy.validation_step", "].val_next"),
        "attention maps": maps,
    }
    return {"epoch": whole, **parts, "rest": whole - sum(parts.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="+", help="as of train.py")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs: expected at least 2, of which the last is reported")
    profiler = SimpleProfiler()
    profiler.describe = lambda: None  # type: ignore[method-assign]
    make = pl.Trainer

    def profiled(**arguments: Any) -> pl.Trainer:
        return make(profiler=profiler, **arguments)

    with tempfile.TemporaryDirectory() as folder:
        own = [f"run_dir={folder}", f"trainer.max_epochs={options.epochs}"]
        config = plain(compose("train", [*options.overrides, *own]))
        # The profiler is an object, which no yaml value can be.
        with mock.patch.object(pl, "Trainer", profiled):
            train(config, Path(folder))
    found = shares(profiler.recorded_durations, options.epochs)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads: {' '.join(options.overrides)}")
    for name, seconds in found.items():
        print(f"{name:15} {seconds:8.2f} s {seconds / found['epoch']:7.1%}")
    training = found["epoch"] - found["validation"] - found["attention maps"]
    print(f"share of the training loop that the model takes: {found['model'] / training:.1%}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
