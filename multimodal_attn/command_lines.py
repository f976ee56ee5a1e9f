"""Commands that are printed for somebody to type next."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Literal


def command_line(command: Literal["train", "evaluate"], *arguments: str) -> str:
    """A command as a shell takes it, begun as this process was: there is no train.py beside an installed package.

    Args:
        command: of the toolkit.
        arguments: such as ``resume=/path/of a/run``; quoted here where a shell wants it.
    """
    started = Path(sys.argv[0])
    if started.name in ("train.py", "evaluate.py"):
        begin = f"python {shlex.quote(str(started.with_name(f'{command}.py')))}"
    else:
        begin = f"multimodal-attn {command}"
    return " ".join([begin, *map(shlex.quote, arguments)])
