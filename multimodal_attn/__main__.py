"""``python -m multimodal_attn predict RUN FILES...`` and ``python -m multimodal_attn compare RUNS...``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m multimodal_attn", description="Uses trained runs.")
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="caption photos or transcribe recordings")
    predict.add_argument("run", type=Path, help="folder of a trained run, or a checkpoint file")
    predict.add_argument("files", nargs="+", type=Path, help="photos or recordings, or folders of them")
    predict.add_argument("--width", type=int, default=5, help="of the beam (default: 5)")
    predict.add_argument("--page", action="store_true", help="write the attention page")
    predict.add_argument("--page-path", type=Path, default=Path("predictions.html"), help="default: predictions.html")
    compare = commands.add_parser("compare", help="put evaluated runs side by side")
    compare.add_argument("runs", nargs="+", type=Path, help="folders of evaluated runs, or folders that hold some")
    compare.add_argument("--split", default="val", help="whose evaluation (default: val)")
    compare.add_argument("--out", type=Path, default=Path("comparison"), help="folder to write (default: comparison)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "compare":
            return _compare(options.runs, options.split, options.out)
        return _predict(options.run, options.files, options.width, options.page_path if options.page else None)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _compare(runs: list[Path], split: str, out: Path) -> int:
    from multimodal_attn.runs.compare import compare

    for file in compare(runs, split, out):
        print(file)
    return 0


def _predict(run: Path, files: list[Path], width: int, page: Path | None) -> int:
    from multimodal_attn.inspection.page import write_page
    from multimodal_attn.predictor import load  # here, so that --help does not wait for torch

    # Folders are read with all that lies below them.
    paths = [p for file in files for p in (sorted(file.rglob("*")) if file.is_dir() else [file]) if not p.is_dir()]
    if not paths:
        raise ValueError(f"{', '.join(map(str, files))}: no file there")
    records, skipped = load(run, width).predict(paths)
    for record in records:
        print(f"{record.key}\t{record.text}" + (f"\t[{', '.join(record.flags)}]" if record.flags else ""))
    for error in skipped:
        print(f"skipped {error}", file=sys.stderr)
    if page is not None and records:
        print(f"attention page: {write_page(records, page, f'predictions of {run.name}', None)}")
    return 0 if records else 1


if __name__ == "__main__":
    raise SystemExit(main())
