"""What the error of a library says, short enough to be quoted in a sentence."""

from __future__ import annotations

_LONGEST = 300  # characters


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut where it is very long; the name of its class if it says nothing."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
