"""Texts of unknown origin, made safe to print: words of a stranger's model, names of files."""

from __future__ import annotations

import re

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # the last turn a line around


def printable(text: str, kept: str = "") -> str:
    """The text with its control characters spelled out: a terminal would obey them, a line of a table end there.

    Args:
        text: of any origin.
        kept: control characters that stay.
    """
    return _CONTROLS.sub(lambda found: found[0] if found[0] in kept else repr(found[0])[1:-1], text)
