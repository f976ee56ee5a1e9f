"""Whether memory grows while train.py trains: ``python benchmarks/memory.py experiment=show_attend_tell_shapes``.

    python benchmarks/memory.py [OVERRIDE ...] [--steps 2000] [--every 250]

Trains as train.py does, in a folder that is deleted afterwards, with one batch of validation after each epoch, and
prints the memory that the process holds (Linux) every so many steps.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytorch_lightning as pl

from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.runs.train import train


class Resident(pl.Callback):
    """Prints the resident memory of the process."""

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step % self.every == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(f"\nstep {trainer.global_step}: {pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="as of train.py")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=250)
    options = parser.parse_args()
    make = pl.Trainer

    def watched(callbacks: list[pl.Callback], **arguments: Any) -> pl.Trainer:
        return make(callbacks=[*callbacks, Resident(options.every)], **arguments)

    with tempfile.TemporaryDirectory() as folder:
        own = [f"run_dir={folder}", f"trainer.max_steps={options.steps}", "trainer.max_epochs=-1"]
        config = plain(compose("train", [*options.overrides, *own, "trainer.limit_val_batches=1"]))
        with mock.patch.object(pl, "Trainer", watched):
            train(config, Path(folder))


if __name__ == "__main__":
    main()
