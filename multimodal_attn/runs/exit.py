"""How every command ends: with a sentence in place of a traceback, and a status that tells a shell what happened.

What is imported here is imported before a Ctrl-C can be told from an error: as little as can be.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal_attn.runs.printable import printable

if TYPE_CHECKING:
    from typing import Any

FAILED = 2
INTERRUPTED = 130
"""By Ctrl-C, as shells count it: 128 and the number of the signal."""
TERMINATED = 143
"""By SIGTERM."""


class Terminated(BaseException):
    """SIGTERM, where nothing else is made of it: as ``KeyboardInterrupt`` is Ctrl-C."""


class Outcome:
    """What became of a command.

    Attributes:
        status: 0, or why it ended early.
        value: what it gave.
    """

    def __init__(self) -> None:
        self.status: int = 0
        self.value: Any = None


@contextmanager
def explained() -> Iterator[Outcome]:
    """Runs a command's body; an error that a user can mend is told in one line, not raised."""
    outcome = Outcome()
    _open_missing()
    _name_a_home()
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):  # UTF-8 whatever the locale; names that are not UTF-8 as their bytes
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        try:
            with _raising_terminated():
                yield outcome
        finally:
            sys.stdout.flush()  # here a closed pipe can be told from other errors
    except KeyboardInterrupt:
        outcome.status = INTERRUPTED
    except Terminated:
        outcome.status = TERMINATED
    except BrokenPipeError:
        # Whoever read the output has had enough of it. Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.status = 0
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _say(f"{name}{error.strerror or error}")
        outcome.status = FAILED
    except ValueError as error:
        _say(str(error))
        outcome.status = FAILED


@contextmanager
def _raising_terminated() -> Iterator[None]:
    """Lets SIGTERM end the block as Ctrl-C does, so that what is unfinished is cleared away."""

    def terminate(number: int, frame: Any) -> None:
        raise Terminated

    taken = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if taken:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if taken:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def signals(*, held: bool) -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM wait until the block has ended, or, within such a block, lets them through again."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    how = signal.SIG_BLOCK if held else signal.SIG_UNBLOCK
    before = signal.pthread_sigmask(how, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _open_missing() -> None:
    """Opens standard streams that the caller has closed, to nowhere: the next file that is opened would be in their
    place, and be written what is meant for them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - to the end of the process


def _name_a_home() -> None:
    """Gives a user of whom the system does not know (as in a container with ``--user``) a home that does not exist.

    Whatever is kept there by default then names what cannot be written, as for any other folder.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/nonexistent"


def _say(message: str) -> None:
    with suppress(OSError):  # nobody listens
        print("error: " + printable(message, kept="\n"), file=sys.stderr)
