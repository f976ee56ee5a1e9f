"""A command that was printed can be typed."""

from __future__ import annotations

import shlex
import sys

import pytest

from multimodal_attn.command_lines import command_line
from multimodal_attn.runs.configuration import compose

RUN = "/runs/it's (1) of größe"


@pytest.mark.parametrize(
    ("started", "begin"),
    [
        ("train.py", "python evaluate.py"),
        ("/my code/train.py", "python '/my code/evaluate.py'"),
        ("/venv/bin/multimodal-attn", "multimodal-attn evaluate"),
    ],
)
def test_a_printed_command_can_be_typed(started: str, begin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    line = command_line("evaluate", f"run={RUN}")
    assert line.startswith(f"{begin} ")
    assert compose("evaluate", shlex.split(line.removeprefix(begin))).run == RUN
