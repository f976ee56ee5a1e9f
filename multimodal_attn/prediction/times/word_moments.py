"""When a word of a live session was written."""

from __future__ import annotations

from typing import NamedTuple


class WordMoments(NamedTuple):
    """What stood in the place of a word until it was sure.

    Attributes:
        shown: each text, and the seconds of the session from which it was shown; None where nothing was.
        sure: seconds of the session.
    """

    shown: tuple[tuple[float, str | None], ...]
    sure: float
