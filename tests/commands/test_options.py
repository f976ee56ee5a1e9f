"""What the command line says in words and what the commands' functions take."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from multimodal_attn.commands.options import parse


@pytest.mark.parametrize(
    ("line", "command", "some"),
    [
        ("predict RUN a.jpg --json --with OTHER", "predict", {"as_json": True, "page": None, "width": 5}),
        ("transcribe RUN a.wav --format srt,ctm", "transcribe", {"formats": ["srt", "ctm"], "overlap_seconds": 1.0}),
        ("transcribe RUN --live --rate 8000", "transcribe_live", {"sound": "microphone", "sample_rate": 8000}),
        ("transcribe RUN --live=-", "transcribe_live", {"sound": "-", "margin_seconds": None}),
        ("generate RUN --samples 2", "generate", {"prompt": "", "samples": 2}),
        ("cloze RUN ___", "cloze", {"texts": ["___"], "candidates": 5}),
        ("export RUN OUT --int8 --license MIT", "export", {"precision": "int8", "license_name": "MIT"}),
        ("export RUN OUT --weights", "export", {"precision": "fp32", "weights": True}),
        ("serve FOLDER --timeout 3", "serve", {"timeout_seconds": 3.0, "host": "127.0.0.1"}),
        ("demo RUN RUN --example a.jpg", "demo", {"port": 7860}),
        ("compare RUN --metrics wer,cer", "compare", {"metrics": ["wer", "cer"], "split": "val"}),
        ("align data=ljspeech", "align", {"splits": ["val"], "output": None}),
        ("measure maps.npz truth.jsonl", "measure", {}),
        ("cache --empty --older-than 3", "cache", {"empty": True, "older_than_days": 3.0}),
        ("shards data=coco --output OUT", "shards", {"splits": ["train", "val", "test"], "verify": None}),
    ],
)
def test_a_command_line_says_what_the_function_of_its_command_takes(line: str, command: str, some: dict) -> None:
    name, options = parse(line.split())
    assert name == command
    assert options.items() >= some.items()
    function = getattr(import_module(f"multimodal_attn.commands.{name}"), name)
    inspect.signature(function).bind(**options)


@pytest.mark.parametrize("line", ["predict RUN a.jpg --page-path x.html", "transcribe RUN a.wav --page"])
def test_options_that_do_not_go_together_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match="expected both, or"):
        parse(line.split())
