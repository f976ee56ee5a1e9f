"""What the processes of a distributed training tell each other in validation."""

from __future__ import annotations

from typing import TypeVar, cast

from torch import distributed

Value = TypeVar("Value")


def gather(value: Value) -> list[Value]:
    """The value of every process in the order of their ranks; of a single process, a list of its own.

    All processes must call it, and what they give must pickle.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Value | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return cast(list[Value], values)
