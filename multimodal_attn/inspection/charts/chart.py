"""What the page draws under the maps of a hypothesis."""

from __future__ import annotations

from typing import Any, NamedTuple


class Chart(NamedTuple):
    """A chart of one hypothesis.

    Attributes:
        script: name of the file beside this one, without .js, that draws it; ``charts[script]`` is its class there.
        title: a few words.
        about: what it means, in a sentence.
        data: numbers or texts, as the script wants them. ``bars`` wants a number in [0, 1] for each token, or by
            name a share for each.
    """

    script: str
    title: str
    about: str
    data: Any
