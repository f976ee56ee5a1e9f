"""Options of the commands that put a trained model to work."""

from __future__ import annotations

import argparse
from pathlib import Path

from multimodal_attn.commands.data_options import Commands, listed


def add_predict(commands: Commands) -> None:
    """The options of ``multimodal-attn predict``."""
    command = commands.add_parser("predict", help="caption photos, transcribe recordings or translate texts")
    command.add_argument("run", type=Path, help="folder of a trained run, a checkpoint file, or an exported folder")
    command.add_argument(
        "files",
        nargs="+",
        type=Path,
        help="photos, recordings or text files with one sentence per line (- for those of a pipe); or folders of them",
    )
    _add_json(command, "print a line of JSON for each file")
    _add_page(command, "write the attention page", "predictions.html")
    _add_width(command)
    _add_trust(command)
    _add_ensemble(command)


def add_transcribe(commands: Commands, live: bool) -> None:
    """The options of ``multimodal-attn transcribe``."""
    command = commands.add_parser("transcribe", help="transcribe recordings of any length, with times")
    command.add_argument("run", type=Path, help="folder of a trained run, a checkpoint file, or an exported folder")
    if not live:  # which takes no files: they would have to be optional
        command.add_argument("files", nargs="+", type=Path, help="recordings, or folders of them")
    command.add_argument(
        "--live",
        dest="sound",
        nargs="?",
        const="microphone",
        metavar="SOUND",
        help="write words while someone is still speaking: into the microphone, through a pipe (-), or in a recording",
    )
    _add_json(command, "with --live: print a line of JSON for each change")
    command.add_argument(
        "--margin",
        dest="margin_seconds",
        metavar="MARGIN",
        type=float,
        help="with --live: seconds after a word until it is sure",
    )
    command.add_argument("--speed", type=float, default=1.0, help="with --live: of a recording (default: 1)")
    command.add_argument(
        "--rate",
        dest="sample_rate",
        metavar="RATE",
        type=int,
        help="with --live: Hz of plain samples (default: the run's)",
    )
    _add_page(command, "with --live: write the attention page of the last five minutes", "live.html")
    command.add_argument(
        "--format",
        dest="formats",
        metavar="FORMAT",
        type=listed,
        default="txt",
        help="txt, json, srt, vtt, ctm, textgrid, or several: srt,ctm (default: txt)",
    )
    command.add_argument(
        "--word-times", default="attention", help="attention or, for a run trained with CTC, ctc (default: attention)"
    )
    command.add_argument("--output", type=Path, help="folder to write NAME.FORMAT into; default: print")
    command.add_argument(
        "--max-seconds", type=float, help="of the parts that are decoded by themselves (default: the run's, or 20)"
    )
    command.add_argument(
        "--overlap",
        dest="overlap_seconds",
        metavar="OVERLAP",
        type=float,
        default=1.0,
        help="seconds that two parts share (default: 1)",
    )
    command.add_argument("--batch-size", type=int, default=8, help="parts that are decoded together (default: 8)")
    _add_width(command)
    _add_trust(command)
    _add_ensemble(command)


def add_generate(commands: Commands) -> None:
    """The options of ``multimodal-attn generate``."""
    command = commands.add_parser("generate", help="let a language model write, from a prompt or from nothing")
    command.add_argument("run", type=Path, help="folder of a trained language model, or a checkpoint file")
    command.add_argument("--prompt", default="", help="what the texts begin with")
    command.add_argument("--samples", type=int, default=5, help="how many texts (default: 5)")
    command.add_argument("--temperature", type=float, default=1.0, help="below 1: closer to the best (default: 1)")
    command.add_argument("--top-p", type=float, default=0.9, help="share to draw from (default: 0.9)")
    command.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    command.add_argument("--max-length", type=int, default=200, help="tokens of a text at most (default: 200)")
    _add_json(command, "print a line of JSON for each text")
    _add_page(command, "write the page of what each word was expected from", "generated.html")
    _add_trust(command)


def add_cloze(commands: Commands) -> None:
    """The options of ``multimodal-attn cloze``."""
    command = commands.add_parser("cloze", help="let a masked language model fill the gaps of texts")
    command.add_argument("run", type=Path, help="folder of a trained masked language model, or a checkpoint file")
    command.add_argument("texts", nargs="+", help="with ___ for each hidden word: 'two ___ play in the ___'")
    command.add_argument("--candidates", type=int, default=5, help="for each gap (default: 5)")
    _add_json(command, "print a line of JSON for each text")
    _add_trust(command)


def add_export(commands: Commands) -> None:
    """The options of ``multimodal-attn export``."""
    command = commands.add_parser("export", help="write a run as ONNX graphs that need no torch")
    command.add_argument("run", type=Path, help="folder of a trained run, or a checkpoint file")
    command.add_argument("output", type=Path, metavar="OUT", help="folder to write")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument(
        "--int8", dest="precision", action="store_const", const="int8", help="matrices in int8: smaller and faster"
    )
    kind.add_argument(
        "--fp16", dest="precision", action="store_const", const="fp16", help="weights in fp16: half the size"
    )
    kind.add_argument("--weights", action="store_true", help="no graphs: the checkpoint for inference alone")
    command.set_defaults(precision="fp32")
    command.add_argument("--checkpoint", choices=("best", "last"), default="best", help="of the run (default: best)")
    command.add_argument(
        "--license",
        dest="license_name",
        metavar="LICENSE",
        default="",
        help="under which the weights may be used, for the README and model.json",
    )
    _add_width(command)
    _add_trust(command)


def add_serve(commands: Commands) -> None:
    """The options of ``multimodal-attn serve``."""
    command = commands.add_parser("serve", help="answer requests over HTTP with an exported model")
    command.add_argument("folder", type=Path, help="that export has written")
    command.add_argument("--port", type=int, default=8000, help="0: any that is free (default: 8000)")
    command.add_argument(
        "--key-file",
        type=Path,
        help="holds the key that requests must have (default: the variable MULTIMODAL_ATTN_KEY, or no key)",
    )
    command.add_argument("--threads", type=int, help="that compute (default: all cores)")
    command.add_argument("--max-seconds", type=float, help="of a recording (default: 60, or as trained on)")
    command.add_argument(
        "--timeout",
        dest="timeout_seconds",
        metavar="TIMEOUT",
        type=float,
        default=30,
        help="seconds until an answer (default: 30)",
    )
    command.add_argument(
        "--waiting", type=int, default=128, help="requests that may wait; others get 503 (default: 128)"
    )
    command.add_argument("--together", type=int, default=16, help="decoded together at most (default: 16)")
    _add_limits(command)


def add_demo(commands: Commands) -> None:
    """The options of ``multimodal-attn demo``."""
    command = commands.add_parser("demo", help="open a page to try models on")
    command.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of runs, or exported folders")
    command.add_argument("--port", type=int, default=7860, help="0: any that is free (default: 7860)")
    command.add_argument("--max-seconds", type=float, default=60, help="of a recording (default: 60)")
    command.add_argument(
        "--example",
        dest="examples",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a file to try the models on with a click; of texts, each line; may be given again",
    )
    _add_limits(command)
    _add_trust(command)


# ------------------------------------------------------------------------------------- what several commands take


def _add_json(command: argparse.ArgumentParser, about: str) -> None:
    command.add_argument("--json", dest="as_json", action="store_true", help=about)


def _add_page(command: argparse.ArgumentParser, about: str, usual: str) -> None:
    command.add_argument("--page", action="store_true", help=about)
    command.add_argument("--page-path", help=f"where to write it (default: {usual})")
    command.set_defaults(usual_page=usual)


def _add_width(command: argparse.ArgumentParser) -> None:
    command.add_argument("--width", type=int, default=5, help="of the beam (default: 5)")


def _add_trust(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package whose classes the checkpoint may name; they can do whatever you can; may be given again",
    )


def _add_ensemble(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--with",
        dest="ensemble",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="a further run, trained on the same texts, that predicts together with the first; may be given again",
    )


def _add_limits(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    command.add_argument("--max-megabytes", type=float, default=20, help="of a request (default: 20)")
    command.add_argument("--max-megapixels", type=float, default=50, help="of a picture (default: 50)")
