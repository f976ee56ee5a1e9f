"""What the processes that share a training or an evaluation tell each other."""

from __future__ import annotations

from typing import TypeVar, cast

from torch import distributed

Value = TypeVar("Value")


def process_share() -> tuple[int, int]:
    """The rank of this process and the number of all: (0, 1) for a single one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gather(value: Value) -> list[Value]:
    """The value of every process in the order of their ranks; of a single process, a list of its own.

    All processes must call it, and what they give must pickle.
    """
    _, number = process_share()
    if number == 1:
        return [value]
    values: list[Value | None] = [None] * number
    distributed.all_gather_object(values, value)
    return cast(list[Value], values)


def gather_to_first(value: Value) -> list[Value] | None:
    """What ``gather`` gives, for the first process; None for the others, which need no room for it."""
    rank, number = process_share()
    if number == 1:
        return [value]
    values: list[Value | None] | None = [None] * number if rank == 0 else None
    distributed.gather_object(value, values)
    return cast(list[Value] | None, values)
