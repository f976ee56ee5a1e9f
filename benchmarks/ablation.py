r"""What each part of a recipe is worth: one table of trainings that differ in one setting each.

    python benchmarks/ablation.py speech OUT experiment=listen_attend_spell_digits data.root=... \
        [--seeds 0 1] [--only NAME ...]
    python benchmarks/ablation.py captions OUT experiment=show_attend_tell_flickr8k data.root=... --seeds 0

OUT/VARIANT/seed_N holds the runs, and what is there is not trained again. Minutes are those of the whole training;
several trainings side by side make them longer.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from seeds import run_seed

DIAGONAL = 0.9
"""Diagonality of a run's attention (docs/measures.md) above which it counts as diagonal."""

MASKS = ["encoder.front_end.num_time_masks=2", "encoder.front_end.num_mel_masks=2"]
DOUBLY = "objective=[cross_entropy,doubly_stochastic]"
TARGETS = {
    "none": [],
    "share": [DOUBLY],  # T / S
    "one": [DOUBLY, "objective.doubly_stochastic.target=one"],
}


class Table(NamedTuple):
    """The overrides of each variant, and the columns with how they are made from the metrics of all seeds."""

    variants: dict[str, list[str]]
    columns: dict[str, Callable[[list[dict[str, float]]], str]]


def mean(key: str, text: str = "{:.3f}", factor: float = 1.0) -> Callable[[list[dict[str, float]]], str]:
    """A column: the mean over seeds, with the range where there are several."""

    def cell(rows: list[dict[str, float]]) -> str:
        # Without a word that was recognised there is no onset.
        values = [factor * row[key] for row in rows if row.get(key) is not None]
        if not values:
            return "-"
        found = text.format(statistics.mean(values))
        return found if len(values) == 1 else f"{found} ({text.format(min(values))} to {text.format(max(values))})"

    return cell


def diagonal(rows: list[dict[str, float]]) -> str:
    """A column: how many runs read along the recording."""
    return f"{sum((row.get('attention_diagonality') or 0.0) > DIAGONAL for row in rows)} of {len(rows)}"


TABLES = {
    "speech": Table(
        {
            "recipe": [],
            "location": ["attention=location"],
            "additive": ["attention=additive"],
            "multihead_location": ["attention=multihead_location"],
            "mocha": ["attention=mocha"],
            "ctc_0": ["objective=[cross_entropy,guided_attention]"],
            "ctc_0.1": ["objective.ctc.weight=0.1"],
            "no_guidance": ["objective=[cross_entropy,ctc]"],
            "spec_augment": MASKS,
            "scheduled_sampling": ["scheduled_sampling.probability=0.1"],
        },
        {
            "word error rate, %": mean("wer", "{:.1f}", 100),
            "onset error, ms": mean("onset_error_ms", "{:.0f}"),
            "diagonal": diagonal,
            "minutes": mean("train_minutes", "{:.0f}"),
        },
    ),
    "captions": Table(
        {f"7x7_{name}": target for name, target in TARGETS.items()}
        | {f"14x14_{name}": ["encoder.stride=16", *target] for name, target in TARGETS.items()}
        | {"transformer": ["decoder=transformer"]},
        {
            "BLEU-4": mean("bleu_4"),
            "CIDEr-D": mean("cider_d"),
            "pointing accuracy": mean("pointing_accuracy"),
            "centre prior": mean("pointing_center"),
            "attention entropy": mean("attention_entropy"),
            "minutes": mean("train_minutes", "{:.0f}"),
        },
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="*", help="of train.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="the others are left out")
    options = parser.parse_intermixed_args()
    table = TABLES[options.table]
    if unknown := set(options.only or ()) - set(table.variants):
        parser.error(f"--only {' '.join(sorted(unknown))}: expected some of {', '.join(table.variants)}")
    print(f"| variant | {' | '.join(table.columns)} |\n" + "|" + " --- |" * (1 + len(table.columns)))
    for name in options.only or table.variants:
        overrides = [*options.overrides, *table.variants[name]]
        rows = [run_seed(options.out / name / f"seed_{s}", s, overrides, "val") for s in options.seeds]
        print(f"| {name} | {' | '.join(cell(rows) for cell in table.columns.values())} |", flush=True)


if __name__ == "__main__":
    main()
