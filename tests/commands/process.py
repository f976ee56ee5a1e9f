"""Commands as processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from multimodal_attn.__main__ import main

ROOT = Path(__file__).parents[2]


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


def forked(
    *words: str, prepare: Callable[[], object] = lambda: None, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """What a command line does in a process of its own that has imported before what takes Python seconds.

    Args:
        words: of the command line, without the name of the program.
        prepare: called in the new process first.
        folder: in which the command is called.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = os.fork()
        if process == 0:
            status = 99
            try:
                for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output.fileno(), errors.fileno())):
                    os.dup2(file, number)
                sys.stdin, sys.stdout, sys.stderr = (
                    os.fdopen(number, "rww"[number], closefd=False) for number in range(3)
                )
                os.chdir(folder)
                prepare()
                status = main(words)
            except SystemExit as error:
                status = int(error.code or 0)
            except BaseException:
                os.write(errors.fileno(), traceback.format_exc().encode())
            finally:
                for stream in (sys.stdout, sys.stderr):
                    if stream is not None:
                        stream.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        told = []
        for file in (output, errors):
            file.seek(0)
            told.append(file.read().decode())
    return subprocess.CompletedProcess(words, status, *told)
