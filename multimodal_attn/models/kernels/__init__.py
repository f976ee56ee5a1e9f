"""Fast forms of mathematics that is defined elsewhere, each behind the interface of its definition.

``with use(False):`` turns all of them off, and the environment variable ``MULTIMODAL_ATTN_KERNELS=0`` does for a whole
run: what is left is the definitions, and a test holds both equal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Form = TypeVar("Form")

_used = os.environ.get("MULTIMODAL_ATTN_KERNELS", "1") != "0"


def in_use() -> bool:
    """Whether fast forms may take the place of their definitions."""
    return _used


@contextmanager
def use(fast: bool) -> Iterator[None]:
    """Turns fast forms on or off for a while."""
    global _used
    before, _used = _used, fast
    try:
        yield
    finally:
        _used = before


def offered(offer: Callable[[], Form | None]) -> Form | None:
    """The fast form that a method of a part offers; None where the definition is to be used.

    The part's own class must make the offer: an inherited one would not know what a subclass has changed.
    """
    method: Any = offer
    return offer() if _used and method.__name__ in vars(type(method.__self__)) else None
