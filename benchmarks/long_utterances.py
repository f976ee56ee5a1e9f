"""Word error rate by the length of the utterance, up to ten times what the runs were trained on.

    python benchmarks/long_utterances.py RUN [RUN ...] [--digits 3 7 20 70] [--ctc-weight 0 0.3] [--figure FILE]

Each RUN is the folder of a training with data=digits. For every number of digits it decodes, with a beam and in one
piece, as many strings made on the fly from the recordings of --split: the same strings for runs with the same data.
Chorowski et al. 2015, who strung utterances together, found attention by content alone to fail on strings much longer
than those of the training, and attention that knows where it was to hold longer; hence loops and deletions below. With
CTC in the beam, a text must also fit to the sounds in their order.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from multimodal_attn.data.datasets.digits import ConnectedDigits
from multimodal_attn.data.loading.build import dataset_part
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.parts import part
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.runs.loading import Run, load_run
from multimodal_attn.search import BeamSearch
from multimodal_attn.search.scorers.ctc import CTCScorer

DIGITS = [3, 5, 7, 10, 15, 20, 30, 40, 50, 70]
LONGEST_DIGIT = 12  # tokens that a digit takes at most, one a character and the space included


def load_digits_run(path: Path, root: Path | None) -> Run:
    """A run of data=digits, on the GPU if there is one.

    Raises:
        ValueError: if it is another run, or none.
    """
    run = load_run(path, overrides={} if root is None else {"data.root": str(root)})
    dataset = run.config["data"]["_target_"]
    if dataset != f"{ConnectedDigits.__module__}.{ConnectedDigits.__name__}":
        raise ValueError(f"run: '{path}' was trained on {dataset.rpartition('.')[2]}; expected a run of data=digits")
    run.predictor.to("cuda" if torch.cuda.is_available() else "cpu")
    return run


def measure(
    run: Run, split: str, digits: int, strings: int, width: int, ctc_weight: float, batch_size: int
) -> dict[str, float]:
    """Error rates of ``strings`` strings of so many digits, and how many texts look wrong."""
    source = dataset_part(run.config["data"])(split=split, min_digits=digits, max_digits=digits, num_examples=strings)
    limits = run.config["search"]
    # A limit that was meant for the training's lengths would be what is measured.
    search = BeamSearch(
        width,
        scorers=[CTCScorer(ctc_weight)],
        max_length=max(limits["max_length"], LONGEST_DIGIT * digits),
        max_length_ratio=limits["max_length_ratio"],
    )
    search.prepare(run.predictor.model, run.predictor.tokenizer)
    predictor = run.predictor.with_search(search)
    records: list[Prediction] = []
    for first in range(0, strings, batch_size):
        examples = [source[index] for index in range(first, min(first + batch_size, strings))]
        records += predictor.predict(examples)
    score = part("metrics", run.config["metrics"], TextScores)()
    scores = score([record.text for record in records], [record.references for record in records])
    flagged = {f"num_{flag}": sum(flag in r.flags for r in records) for flag in ("looped", "hit_max_length")}
    return {"digits": digits, "seconds": sum(source.lengths()) / strings, **scores, **flagged}


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """Markdown: a row for each length, and for each run its word error rate, insertions, deletions and loops."""
    lengths = [(int(row["digits"]), row["seconds"]) for row in next(iter(results.values()))]
    lines = [
        "| digits | seconds | " + " | ".join(f"{name}: WER (ins., del.), loops" for name in results) + " |",
        "|" + " --- |" * (2 + len(results)),
    ]
    for index, (digits, seconds) in enumerate(lengths):
        cells = []
        for row in (rows[index] for rows in results.values()):
            wer, insertions, deletions = (f"{100 * row[name]:.1f}" for name in ("wer", "insertions", "deletions"))
            cells.append(f"{wer} % ({insertions}, {deletions}), {row['num_looped']}")
        lines.append(f"| {digits} | {seconds:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results: dict[str, list[dict[str, float]]], trained: tuple[int, int], path: Path) -> None:
    """Word error rate over digits; the lengths of the training are shaded. Of a run, the lines with CTC are dashed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9.5, 5))
    axis.axvspan(*trained, color="0.9", label=f"trained on: {trained[0]} to {trained[1]} digits")
    runs = list(dict.fromkeys(name.partition(", CTC ")[0] for name in results))
    for name, rows in results.items():
        run, with_ctc, _ = name.partition(", CTC ")
        color = pyplot.get_cmap("tab10")(runs.index(run) % 10)
        look = {"linestyle": "--", "marker": "s", "markerfacecolor": "white"} if with_ctc else {"marker": "o"}
        axis.plot([row["digits"] for row in rows], [100 * row["wer"] for row in rows], color=color, label=name, **look)
    axis.set(xscale="log", xlabel="digits in the string", ylabel="word error rate, %")
    ticks = [int(row["digits"]) for row in next(iter(results.values()))]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))  # beside the lines
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--digits", type=int, nargs="+", default=DIGITS, help="lengths of the strings")
    parser.add_argument("--strings", type=int, default=40, help="of each length")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"), help="whose recordings")
    parser.add_argument("--root", type=Path, help="of the digits, in place of the runs' own data.root")
    parser.add_argument("--width", type=int, default=5, help="of the beam")
    parser.add_argument(
        "--ctc-weight", type=float, nargs="+", default=[0.0], help="of CTC in the beam, for runs trained with it"
    )
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--figure", type=Path, default=Path("long_utterances.png"))
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    options.digits = sorted(set(options.digits))
    if min(*options.digits, options.strings, options.batch_size) < 1:
        parser.error("--digits, --strings, --batch-size: expected numbers above 0")
    if len(set(options.runs)) < len(options.runs):
        parser.error("RUN: the same folder twice")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    results: dict[str, list[dict[str, Any]]] = {}
    trained = []
    for path in options.runs:
        run = load_digits_run(path, options.root)
        trained.append((run.config["data"]["min_digits"], run.config["data"]["max_digits"]))
        for weight in options.ctc_weight:
            name = f"{path}, CTC {weight}" if weight else str(path)
            rows = results[name] = []
            for digits in options.digits:
                rows.append(
                    measure(run, options.split, digits, options.strings, options.width, weight, options.batch_size)
                )
                print(f"{name}: {digits} digits, word error rate {100 * rows[-1]['wer']:.1f} %", flush=True)
    print(table(results))
    draw(results, (min(low for low, _ in trained), max(high for _, high in trained)), options.figure)
    print(options.figure)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
