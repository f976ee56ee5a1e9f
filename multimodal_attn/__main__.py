"""``python -m multimodal_attn`` predict, transcribe, compare or shards; ``--help`` after each."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m multimodal_attn", description="Uses trained runs.")
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="caption photos, transcribe recordings or translate texts")
    predict.add_argument("run", type=Path, help="folder of a trained run, or a checkpoint file")
    predict.add_argument(
        "files",
        nargs="+",
        type=Path,
        help="photos, recordings or text files with a sentence a line; or folders of them",
    )
    predict.add_argument("--page", action="store_true", help="write the attention page")
    predict.add_argument("--page-path", type=Path, default=Path("predictions.html"), help="default: predictions.html")
    transcribe = commands.add_parser("transcribe", help="transcribe recordings of any length, with times")
    transcribe.add_argument("run", type=Path, help="folder of a trained run, or a checkpoint file")
    transcribe.add_argument("files", nargs="+", type=Path, help="recordings, or folders of them")
    transcribe.add_argument(
        "--format", default="txt", help="txt, json, srt, vtt, ctm, textgrid, or several: srt,ctm (default: txt)"
    )
    transcribe.add_argument(
        "--word-times", default="attention", help="attention or, for a run trained with CTC, ctc (default: attention)"
    )
    transcribe.add_argument("--output", type=Path, help="folder to write NAME.FORMAT into; default: print")
    transcribe.add_argument(
        "--max-seconds", type=float, help="of the parts that are decoded by themselves (default: the run's, or 20)"
    )
    transcribe.add_argument("--overlap", type=float, default=1.0, help="seconds that two parts share (default: 1)")
    transcribe.add_argument("--batch-size", type=int, default=8, help="parts that are decoded together (default: 8)")
    for command in (predict, transcribe):
        command.add_argument("--width", type=int, default=5, help="of the beam (default: 5)")
        command.add_argument(
            "--with",
            dest="ensemble",
            type=Path,
            action="append",
            default=[],
            metavar="RUN",
            help="a further run, trained on the same texts, that predicts together with the first; may be given again",
        )
    compare = commands.add_parser("compare", help="put evaluated runs side by side")
    compare.add_argument("runs", nargs="+", type=Path, help="folders of evaluated runs, or folders that hold some")
    compare.add_argument("--split", default="val", help="whose evaluation (default: val)")
    compare.add_argument("--out", type=Path, default=Path("comparison"), help="folder to write (default: comparison)")
    shards = commands.add_parser(
        "shards",
        help="write a data set into tar files",
        epilog="A run trains from the folder with: python train.py data=shards data.root=FOLDER",
    )
    shards.add_argument("overrides", nargs="*", help="as for train.py: data=flickr8k data.root=/path/to/flickr8k")
    folder = shards.add_mutually_exclusive_group(required=True)
    folder.add_argument("--out", type=Path, help="folder to write, new or empty")
    folder.add_argument("--verify", type=Path, metavar="FOLDER", help="compare a folder's files with their checksums")
    shards.add_argument("--splits", default="train,val,test", help="which (default: train,val,test)")
    shards.add_argument("--shard-megabytes", type=float, default=256, help="about the size of a tar (default: 256)")
    options = parser.parse_args(arguments)
    try:
        if options.command in ("transcribe", "predict"):
            from multimodal_attn.machine import set_up_machine

            set_up_machine()
        if options.command == "transcribe":
            return _transcribe(options)
        if options.command == "compare":
            return _compare(options.runs, options.split, options.out)
        if options.command == "shards":
            return _shards(options)
        from multimodal_attn.processes import joined

        with joined():
            return _predict(options, options.page_path if options.page else None)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _compare(runs: list[Path], split: str, out: Path) -> int:
    from multimodal_attn.runs.compare import compare

    for file in compare(runs, split, out):
        print(file)
    return 0


def _shards(options: argparse.Namespace) -> int:
    from multimodal_attn.runs.shards import verify_shards, write_shards

    if options.verify is not None:
        print(f"{options.verify}: {verify_shards(options.verify)} files are as they were written")
        return 0
    index, skipped = write_shards(options.overrides, options.out, options.splits.split(","), options.shard_megabytes)
    for split, content in index["splits"].items():
        seconds = f", {content['seconds'] / 3600:.2f} hours" if "seconds" in content else ""
        print(f"{split}: {content['examples']} examples{seconds} in {len(content['shards'])} shards")
    if skipped:
        print(f"{len(skipped)} could not be used; {options.out / 'skipped.txt'} lists them", file=sys.stderr)
    return 0


def _predict(options: argparse.Namespace, page: Path | None) -> int:
    from multimodal_attn.data.reading.files import find_files
    from multimodal_attn.distributed import process_share
    from multimodal_attn.inspection.page.page import write_page
    from multimodal_attn.prediction.predictor import load  # here, so that --help does not wait for torch
    from multimodal_attn.types import UnreadableError

    predictor = load(options.run, options.width, options.ensemble)
    paths, others = find_files(options.files, predictor.suffixes)
    done, num_skipped, records = 0, len(others), []
    rank, _ = process_share()
    for error in others if rank == 0 else []:
        print(f"skipped {error}", file=sys.stderr)
    for found in predictor.predict_together(paths):
        if isinstance(found, UnreadableError):
            num_skipped += 1
            print(f"skipped {found}", file=sys.stderr)
            continue
        done += 1
        print(f"{found.key}\t{found.text}" + (f"\t[{', '.join(found.flags)}]" if found.flags else ""), flush=True)
        if page is not None:
            records.append(found)
    if rank > 0:  # the first process tells
        return 0
    if num_skipped:
        print(f"{done} {predictor.reader.modality}s read, {num_skipped} skipped", file=sys.stderr)
    if records and page is not None:
        print(f"attention page: {write_page(records, page, f'predictions of {options.run.name}', None)}")
    return 0 if done else 1


def _transcribe(options: argparse.Namespace) -> int:
    from multimodal_attn.data.reading.audio import SUFFIXES
    from multimodal_attn.data.reading.files import find_files
    from multimodal_attn.prediction.ensemble import load_together
    from multimodal_attn.prediction.transcribe import Transcriber, decoder_of
    from multimodal_attn.prediction.transcript import ENDINGS, FORMATS, ONE_RECORDING, render
    from multimodal_attn.types import UnreadableError

    kinds = options.format.split(",")
    if unknown := [kind for kind in kinds if kind not in FORMATS]:
        raise ValueError(f"--format: {unknown[0]!r}; expected one or more of {','.join(FORMATS)}")
    paths, others = find_files(options.files, SUFFIXES)
    for error in others:
        print(f"skipped {error}", file=sys.stderr)
    if options.output is None and (len(kinds) > 1 or (kinds[0] in ONE_RECORDING and len(paths) > 1)):
        raise ValueError(
            f"--format {options.format}: of {len(paths)} recordings, these are files of their own; expected --output"
            " FOLDER"
        )
    files = [[path.with_suffix(f".{ENDINGS[kind]}").name for kind in kinds] for path in paths]
    names = [names[0] for names in files]
    if options.output is not None and len(set(names)) < len(names):
        raise ValueError(f"--output: two recordings would both be written to {max(names, key=names.count)}")
    run = load_together(options.run, options.ensemble)
    data = run.config.data
    transcriber = Transcriber(
        decoder_of(run, options.width, options.word_times),
        data.sample_rate,
        options.max_seconds or data.get("max_seconds") or 20.0,
        options.overlap,
        options.batch_size,
    )
    done = 0
    for path, names in zip(paths, files, strict=True):
        try:
            transcript = transcriber(path)
        except UnreadableError as error:
            print(f"skipped {error}", file=sys.stderr)
            continue
        done += 1
        for kind, name in zip(kinds, names, strict=True):
            text = render(transcript, path, kind)
            if options.output is not None:
                options.output.mkdir(parents=True, exist_ok=True)
                (options.output / name).write_text(text, encoding="utf-8")
                print(options.output / name)
            else:
                # The name stands above the lines where there is more than one recording; json and ctm have it already.
                print((f"# {path}\n" if kind == "txt" and len(paths) > 1 else "") + text, end="", flush=True)
    return 0 if done else 1


if __name__ == "__main__":
    raise SystemExit(main())
