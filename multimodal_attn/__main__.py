"""The command ``multimodal-attn``, or ``python -m multimodal_attn``; ``--help`` after each of its commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from multimodal_attn.commands.utf8 import ensure_utf8
from multimodal_attn.runs.exit import explained

if TYPE_CHECKING:
    import argparse


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit status."""
    if arguments is None:
        ensure_utf8()
        arguments = sys.argv[1:]
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a package of the user's own may lie where the command is called
    with explained() as outcome:
        outcome.value = _run(list(arguments))
    return outcome.status or int(outcome.value or 0)


def _run(arguments: list[str]) -> int:
    if arguments[:1] in (["train"], ["evaluate"]):
        from multimodal_attn.commands import hydra_commands

        return {"train": hydra_commands.train, "evaluate": hydra_commands.evaluate}[arguments[0]](arguments[1:])
    options = _parser("--live" in arguments).parse_args(arguments)
    if options.command in ("predict", "transcribe", "generate", "cloze", "demo"):
        from multimodal_attn.machine import set_up_machine

        set_up_machine()
    page = None
    if options.command in ("predict", "transcribe", "generate"):
        from pathlib import Path

        if options.page_path and not options.page:
            raise ValueError("--page-path: given without --page; expected both, or neither")
        usual = {"predict": "predictions.html", "transcribe": "live.html", "generate": "generated.html"}
        page = Path(options.page_path or usual[options.command]) if options.page else None
    if options.command == "predict":
        from multimodal_attn.commands.predict import predict

        return predict(options.run, options.files, options.width, options.ensemble, options.trust, page, options.json)
    if options.command == "transcribe" and options.live is not None:
        from multimodal_attn.commands.transcribe_live import transcribe_live

        return transcribe_live(
            options.run,
            options.live,
            width=options.width,
            ensemble=options.ensemble,
            trust=options.trust,
            word_times=options.word_times,
            margin_seconds=options.margin,
            speed=options.speed,
            sample_rate=options.rate,
            as_json=options.json,
            page=page,
        )
    if options.command == "transcribe":
        from multimodal_attn.commands.transcribe import transcribe

        if page is not None:
            raise ValueError("--page: given without --live; expected both, or predict RUN FILES --page")

        return transcribe(
            options.run,
            options.files,
            options.format.split(","),
            options.output,
            width=options.width,
            ensemble=options.ensemble,
            trust=options.trust,
            word_times=options.word_times,
            max_seconds=options.max_seconds,
            overlap_seconds=options.overlap,
            batch_size=options.batch_size,
        )
    if options.command == "generate":
        from multimodal_attn.commands.generate import generate

        return generate(options.run, options.prompt, vars(options), options.trust, options.json, page)
    if options.command == "cloze":
        from multimodal_attn.commands.fill_gaps import fill_gaps

        return fill_gaps(options.run, options.texts, options.candidates, options.trust, options.json)
    if options.command == "export":
        from multimodal_attn.commands.export import export

        return export(
            options.run,
            options.output,
            precision=options.precision or "fp32",
            weights=options.weights,
            checkpoint=options.checkpoint,
            width=options.width,
            license_name=options.license,
            trust=options.trust,
        )
    if options.command == "serve":
        from multimodal_attn.commands.serve import serve

        return serve(
            options.folder,
            options.host,
            options.port,
            key_file=options.key_file,
            threads=options.threads,
            max_megabytes=options.max_megabytes,
            max_megapixels=options.max_megapixels,
            max_seconds=options.max_seconds,
            timeout_seconds=options.timeout,
            waiting=options.waiting,
            together=options.together,
        )
    if options.command == "demo":
        from multimodal_attn.commands.demo import demo

        return demo(
            options.runs,
            options.host,
            options.port,
            max_megabytes=options.max_megabytes,
            max_megapixels=options.max_megapixels,
            max_seconds=options.max_seconds,
            examples=options.examples,
            trust=options.trust,
        )
    if options.command == "compare":
        from multimodal_attn.runs.evaluations.compare import compare

        metrics = options.metrics.split(",") if options.metrics else None
        for file in compare(options.runs, options.split, options.output, metrics=metrics):
            print(file)
        return 0
    if options.command == "align":
        from multimodal_attn.commands.align import align

        return align(options.overrides, options.splits.split(","), options.output)
    if options.command == "measure":
        from multimodal_attn.commands.measure import measure

        return measure(options.maps, options.truth, options.output)
    if options.command == "cache":
        from multimodal_attn.commands.cache import cache

        return cache(options.folder, options.empty, options.older_than)
    from multimodal_attn.commands.shards import shards

    return shards(options.overrides, options.output, options.verify, options.splits.split(","), options.shard_megabytes)


def _parser(live: bool = False) -> argparse.ArgumentParser:
    import argparse  # here, where a Ctrl-C ends without a traceback
    from pathlib import Path

    parser = argparse.ArgumentParser(prog="multimodal-attn", description="Trains, evaluates and uses models.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train", help="train a model, as train.py does", add_help=False)
    commands.add_parser("evaluate", help="evaluate a trained run, as evaluate.py does", add_help=False)
    predict = commands.add_parser("predict", help="caption photos, transcribe recordings or translate texts")
    predict.add_argument("run", type=Path, help="folder of a trained run, a checkpoint file, or an exported folder")
    predict.add_argument(
        "files",
        nargs="+",
        type=Path,
        help="photos, recordings or text files with a sentence a line; or folders of them",
    )
    predict.add_argument("--json", action="store_true", help="print a line of JSON for each file")
    predict.add_argument("--page", action="store_true", help="write the attention page")
    predict.add_argument("--page-path", help="where to write it (default: predictions.html)")
    transcribe = commands.add_parser("transcribe", help="transcribe recordings of any length, with times")
    transcribe.add_argument("run", type=Path, help="folder of a trained run, a checkpoint file, or an exported folder")
    if not live:  # which takes no files: they would have to be optional
        transcribe.add_argument("files", nargs="+", type=Path, help="recordings, or folders of them")
    transcribe.add_argument(
        "--live",
        nargs="?",
        const="microphone",
        metavar="SOUND",
        help="write words while someone is still speaking: into the microphone, through a pipe (-), or in a recording",
    )
    transcribe.add_argument("--json", action="store_true", help="with --live: print a line of JSON for each change")
    transcribe.add_argument("--margin", type=float, help="with --live: seconds after a word until it is sure")
    transcribe.add_argument("--speed", type=float, default=1.0, help="with --live: of a recording (default: 1)")
    transcribe.add_argument("--rate", type=int, help="with --live: Hz of plain samples (default: the run's)")
    transcribe.add_argument(
        "--page", action="store_true", help="with --live: write the attention page of the last five minutes"
    )
    transcribe.add_argument("--page-path", help="where to write it (default: live.html)")
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
    generate = commands.add_parser("generate", help="let a language model write, from a prompt or from nothing")
    generate.add_argument("run", type=Path, help="folder of a trained language model, or a checkpoint file")
    generate.add_argument("--prompt", default="", help="what the texts begin with")
    generate.add_argument("--samples", type=int, default=5, help="how many texts (default: 5)")
    generate.add_argument("--temperature", type=float, default=1.0, help="below 1: closer to the best (default: 1)")
    generate.add_argument("--top-p", type=float, default=0.9, help="share to draw from (default: 0.9)")
    generate.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    generate.add_argument("--max-length", type=int, default=200, help="tokens of a text at most (default: 200)")
    generate.add_argument("--json", action="store_true", help="print a line of JSON for each text")
    generate.add_argument("--page", action="store_true", help="write the page of what each word was expected from")
    generate.add_argument("--page-path", help="where to write it (default: generated.html)")
    cloze = commands.add_parser("cloze", help="let a masked language model fill the gaps of texts")
    cloze.add_argument("run", type=Path, help="folder of a trained masked language model, or a checkpoint file")
    cloze.add_argument("texts", nargs="+", help="with ___ for each hidden word: 'two ___ play in the ___'")
    cloze.add_argument("--candidates", type=int, default=5, help="for each gap (default: 5)")
    cloze.add_argument("--json", action="store_true", help="print a line of JSON for each text")
    export = commands.add_parser("export", help="write a run as ONNX graphs that need no torch")
    export.add_argument("run", type=Path, help="folder of a trained run, or a checkpoint file")
    export.add_argument("output", type=Path, metavar="OUT", help="folder to write")
    kind = export.add_mutually_exclusive_group()
    kind.add_argument(
        "--int8", dest="precision", action="store_const", const="int8", help="matrices in int8: smaller and faster"
    )
    kind.add_argument(
        "--fp16", dest="precision", action="store_const", const="fp16", help="weights in fp16: half the size"
    )
    kind.add_argument("--weights", action="store_true", help="no graphs: the checkpoint for inference alone")
    export.add_argument("--checkpoint", choices=("best", "last"), default="best", help="of the run (default: best)")
    export.add_argument(
        "--license", default="", help="under which the weights may be used, for the README and model.json"
    )
    serve = commands.add_parser("serve", help="answer requests over HTTP with an exported model")
    serve.add_argument("folder", type=Path, help="that export has written")
    serve.add_argument("--port", type=int, default=8000, help="0: any that is free (default: 8000)")
    serve.add_argument(
        "--key-file",
        type=Path,
        help="holds the key that requests must have (default: the variable MULTIMODAL_ATTN_KEY, or no key)",
    )
    serve.add_argument("--threads", type=int, help="that compute (default: all cores)")
    serve.add_argument("--max-seconds", type=float, help="of a recording (default: 60, or as trained on)")
    serve.add_argument("--timeout", type=float, default=30, help="seconds until an answer (default: 30)")
    serve.add_argument("--waiting", type=int, default=128, help="requests that may wait; others get 503 (default: 128)")
    serve.add_argument("--together", type=int, default=16, help="decoded together at most (default: 16)")
    demo = commands.add_parser("demo", help="open a page to try models on")
    demo.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of runs, or exported folders")
    demo.add_argument("--port", type=int, default=7860, help="0: any that is free (default: 7860)")
    demo.add_argument("--max-seconds", type=float, default=60, help="of a recording (default: 60)")
    demo.add_argument(
        "--example",
        dest="examples",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a file to try the models on with a click; of texts, each line; may be given again",
    )
    for command in (serve, demo):
        command.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
        command.add_argument("--max-megabytes", type=float, default=20, help="of a request (default: 20)")
        command.add_argument("--max-megapixels", type=float, default=50, help="of a picture (default: 50)")
    for command in (predict, transcribe, export):
        command.add_argument("--width", type=int, default=5, help="of the beam (default: 5)")
    for command in (predict, transcribe, export, generate, cloze, demo):
        command.add_argument(
            "--trust",
            action="append",
            default=[],
            metavar="PACKAGE",
            help="a package whose classes the checkpoint may name; they can do whatever you can; may be given again",
        )
    for command in (predict, transcribe):
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
    compare.add_argument("--split", default="val", help="whose evaluations (default: val)")
    compare.add_argument("--metrics", help="figures to show, such as cider_d,pointing_accuracy (default: the headline)")
    compare.add_argument(
        "--output", type=Path, default=Path("comparison"), help="folder to write (default: comparison)"
    )
    align = commands.add_parser(
        "align",
        help="find when the words of English recordings are said, by a forced aligner",
        epilog="Evaluate against these times with: multimodal-attn evaluate run=RUN data.word_times=FILE",
    )
    align.add_argument("overrides", nargs="*", help="as for train: data=ljspeech data.root=/path/to/LJSpeech-1.1")
    align.add_argument("--splits", default="val", help="which, such as val,test (default: val)")
    align.add_argument("--output", type=Path, help="file to write (default: word_times.jsonl beside the data)")
    measure = commands.add_parser("measure", help="score maps or word times that another model made")
    measure.add_argument("maps", type=Path, help="npz of an array for each key, or a ctm of word times")
    measure.add_argument("truth", type=Path, help="jsonl of a source a line with its text and boxes or times")
    measure.add_argument("--output", type=Path, default=Path("measured"), help="folder to write (default: measured)")
    cache = commands.add_parser("cache", help="show what is kept between runs, or delete it")
    cache.add_argument("--folder", type=Path, help="of the cache (default: ~/.cache/multimodal_attn)")
    cache.add_argument("--empty", action="store_true", help="delete it; a run that needs it makes it again")
    cache.add_argument("--older-than", type=float, metavar="DAYS", help="with --empty: not used for so long")
    shards = commands.add_parser(
        "shards",
        help="write a data set into tar files",
        epilog="A run trains from the folder with: multimodal-attn train data=shards data.root=FOLDER",
    )
    shards.add_argument("overrides", nargs="*", help="as for train: data=flickr8k data.root=/path/to/flickr8k")
    folder = shards.add_mutually_exclusive_group(required=True)
    folder.add_argument("--output", type=Path, help="folder to write, new or empty")
    folder.add_argument("--verify", type=Path, metavar="FOLDER", help="compare a folder's files with their checksums")
    shards.add_argument("--splits", default="train,val,test", help="which (default: train,val,test)")
    shards.add_argument("--shard-megabytes", type=float, default=256, help="about the size of a tar (default: 256)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
