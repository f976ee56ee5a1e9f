"""The command ``multimodal-attn``, or ``python -m multimodal_attn``; ``--help`` after each of its commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from multimodal_attn.commands.utf8 import ensure_utf8
from multimodal_attn.runs.exit import explained

_COMPUTING = ("predict", "transcribe", "transcribe_live", "generate", "cloze", "demo")
"""Commands that read sources or write texts with a model in this process; training and evaluation set up themselves."""


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
    # Imported here, where a Ctrl-C ends without a traceback; of the commands only the one that is called.
    from importlib import import_module

    if arguments[:1] in (["train"], ["evaluate"]):
        from multimodal_attn.commands import hydra_commands

        return {"train": hydra_commands.train, "evaluate": hydra_commands.evaluate}[arguments[0]](arguments[1:])
    from multimodal_attn.commands.options import parse

    command, options = parse(arguments)
    if command in _COMPUTING:
        from multimodal_attn.machine import set_up_machine

        set_up_machine()
    status: int = getattr(import_module(f"multimodal_attn.commands.{command}"), command)(**options)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
