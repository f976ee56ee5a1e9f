"""What may stand on the command line after ``multimodal-attn``, and the command and arguments that it stands for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multimodal_attn.commands import data_options, model_options

_LIVE_ONLY = ("sound", "as_json", "page", "margin_seconds", "speed", "sample_rate")
_RECORDED_ONLY = ("formats", "output", "max_seconds", "overlap_seconds", "batch_size")
"""Arguments of ``transcribe`` that only one of its two functions takes."""


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The name of a command's function, which is that of its module in this room too, and its arguments by name.

    A wrong command line ends the program, as argparse does it.

    Args:
        arguments: of the command line, without ``train`` and ``evaluate``, which Hydra reads.

    Raises:
        ValueError: for options that do not go together.
    """
    live = any(argument.partition("=")[0] == "--live" for argument in arguments)
    options = vars(_parser(live).parse_args(arguments))
    command = str(options.pop("command"))
    if "page" in options:
        path, usual = options.pop("page_path"), options.pop("usual_page")
        if path and not options["page"]:
            raise ValueError("--page-path: given without --page; expected both, or neither")
        options["page"] = Path(path or usual) if options["page"] else None
    if command == "transcribe":
        return _transcribe_or_live(options)
    return command, options


def _transcribe_or_live(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """One command for people, two functions: what only the other one takes is left out."""
    live = options["sound"] is not None
    if options["page"] is not None and not live:
        raise ValueError("--page: given without --live; expected both, or predict RUN FILES --page")
    unused = _RECORDED_ONLY if live else _LIVE_ONLY
    command = "transcribe_live" if live else "transcribe"
    return command, {name: value for name, value in options.items() if name not in unused}


def _parser(live: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="multimodal-attn", description="Trains, evaluates and uses models.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train", help="train a model, as train.py does", add_help=False)
    commands.add_parser("evaluate", help="evaluate a trained run, as evaluate.py does", add_help=False)
    model_options.add_predict(commands)
    model_options.add_transcribe(commands, live)
    model_options.add_generate(commands)
    model_options.add_cloze(commands)
    model_options.add_export(commands)
    model_options.add_serve(commands)
    model_options.add_demo(commands)
    data_options.add_compare(commands)
    data_options.add_align(commands)
    data_options.add_measure(commands)
    data_options.add_cache(commands)
    data_options.add_shards(commands)
    return parser
