r"""What each part of the speech recipe is worth: one table over attention, CTC, SpecAugment and scheduled sampling.

    python benchmarks/speech_ablation.py OUT experiment=listen_attend_spell_digits data.root=... \
        [--seeds 0 1] [--only NAME ...]

Each variant changes one thing in the recipe; OUT/VARIANT/seed_N holds its runs, and what is there is not trained again.
A run counts as diagonal when the diagonality of its attention (docs/measures.md) is above 0.9. Minutes are those of the
whole training; several trainings side by side make them longer.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path

from seeds import run_seed

DIAGONAL = 0.9
NO_MASKS = ["encoder.front_end.num_time_masks=0", "encoder.front_end.num_mel_masks=0"]
VARIANTS: dict[str, list[str]] = {
    "recipe": [],
    "location": ["attention=location"],
    "additive": ["attention=additive"],
    "multihead_location": ["attention=multihead_location"],
    "mocha": ["attention=mocha"],
    "ctc_0": ["objective=[cross_entropy,guided_attention]"],
    "ctc_0.1": ["objective.ctc.weight=0.1"],
    "no_guidance": ["objective=[cross_entropy,ctc]"],
    "no_spec_augment": NO_MASKS,
    "scheduled_sampling": ["scheduled_sampling.probability=0.1"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="*", help="of train.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_intermixed_args()
    print("| variant | word error rate | range | onset error | diagonal | minutes |\n" + "|" + " --- |" * 6)
    for name in options.only:
        overrides = [*options.overrides, *VARIANTS[name]]
        rows = [run_seed(options.out / name / f"seed_{s}", s, overrides, "val") for s in options.seeds]
        errors = [100 * row["wer"] for row in rows]
        # Without a word that was recognised there is no onset.
        onsets = [row["onset_error_ms"] for row in rows if row.get("onset_error_ms") is not None]
        diagonal = sum((row.get("attention_diagonality") or 0.0) > DIAGONAL for row in rows)
        print(
            f"| {name} | {statistics.mean(errors):.1f} % | {min(errors):.1f} to {max(errors):.1f} |"
            f" {statistics.mean(onsets) if onsets else math.nan:.0f} ms | {diagonal} of {len(rows)} |"
            f" {statistics.mean(row['train_minutes'] for row in rows):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
