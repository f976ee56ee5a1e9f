"""Trains and evaluates one configuration with several seeds, and prints mean and spread of every metric.

    python benchmarks/seeds.py OUT experiment=listen_attend_spell_grid data.root=... [--seeds 0 1 2] [--split val]

Each seed lives in OUT/seed_N: what is there already is not trained again, so that an interrupted call goes on. Wall
time is that of the whole `python train.py` process, start-up and validation included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_seed(folder: Path, seed: int, overrides: list[str], split: str) -> dict[str, float]:
    """Metrics of one seed, with ``train_minutes`` and ``evaluate_minutes`` among them."""
    metrics_file = folder / "evaluation" / split / "metrics.json"
    times_file = folder / "minutes.json"
    if not (metrics_file.is_file() and times_file.is_file()):
        python = sys.executable
        start = time.perf_counter()
        train = [python, str(ROOT / "train.py"), *overrides, f"seed={seed}", f"hydra.run.dir={folder}"]
        subprocess.run(train, check=True)
        trained = time.perf_counter()
        subprocess.run([python, str(ROOT / "evaluate.py"), f"run={folder}", f"split={split}"], check=True)
        minutes = {"train_minutes": (trained - start) / 60, "evaluate_minutes": (time.perf_counter() - trained) / 60}
        times_file.write_text(json.dumps(minutes))
    metrics = json.loads(metrics_file.read_text()) | json.loads(times_file.read_text())
    return {name: value for name, value in metrics.items() if name != "intervals"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="*", help="of train.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", default="val")
    options = parser.parse_intermixed_args()
    rows = [run_seed(options.out / f"seed_{s}", s, options.overrides, options.split) for s in options.seeds]
    print(f"| metric | mean | spread | {' | '.join(f'seed {s}' for s in options.seeds)} |")
    print("|" + " --- |" * (3 + len(rows)))
    for name in rows[0]:
        values = [float(row[name]) for row in rows if row.get(name) is not None]
        if len(values) == len(rows):
            cells = " | ".join(f"{value:.4g}" for value in values)
            print(f"| {name} | {statistics.mean(values):.4g} | {max(values) - min(values):.2g} | {cells} |")


if __name__ == "__main__":
    main()
