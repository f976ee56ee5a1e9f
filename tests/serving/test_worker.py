"""Who is decoded with whom, and how a worker ends."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest

from multimodal_attn.runtime.runtime import Read
from multimodal_attn.serving.worker import OverloadedError, Worker


class Model:
    """Writes the lengths of what it is given, once it is let; notes its batches."""

    def __init__(self, together: bool = True) -> None:
        self.together, self.free, self.begun = together, threading.Event(), threading.Event()
        self.batches: list[tuple[list[int], int | None]] = []

    def write(self, sources: Any, width: int | None = None) -> Any:
        self.begun.set()
        assert self.free.wait(60)
        lengths = [len(source.array) for source in sources]
        self.batches.append((lengths, width))
        if 13 in lengths:
            raise RuntimeError("thirteen")
        return lengths


def read(length: int) -> Read:
    return Read("", np.zeros(0), np.zeros(length))


def decode(model: Model, asked: list[tuple[int, int | None]], **settings: Any) -> list[Any]:
    """Answers to lengths and widths that have all come while another was decoded."""
    worker = Worker(model, **{"waiting": 100, "together": 4, "longest": math.inf, **settings})
    first = worker.write(read(1))
    assert model.begun.wait(60)
    answers = [worker.write(read(length), width) for length, width in asked]
    model.free.set()
    worker.close()  # answers all that waits
    assert first.result() == 1
    assert not worker.alive
    return [one.exception() or one.result() for one in answers]


def test_those_of_one_width_go_together_in_order() -> None:
    model = Model()
    assert decode(model, [(2, 5), (3, 1), (4, 5), (5, 1), (6, 5)]) == [2, 3, 4, 5, 6]
    assert model.batches[1:] == [([2, 4, 6], 5), ([3, 5], 1)]


def test_no_batch_is_larger_than_its_limits() -> None:
    model = Model()
    decode(
        model,
        [(10, None), (3, None), (4, None), (9, None), (1, None), (1, None), (1, None), (1, None), (1, None)],
        longest=10,
    )
    assert [lengths for lengths, _ in model.batches[1:]] == [[10], [3, 4], [9], [1, 1, 1, 1], [1]]


def test_a_model_whose_sources_change_each_other_gets_one_at_a_time() -> None:
    model = Model(together=False)
    decode(model, [(2, None), (3, None)])
    assert [lengths for lengths, _ in model.batches] == [[1], [2], [3]]


def test_one_that_fails_takes_no_other_with_it() -> None:
    model = Model()
    found = decode(model, [(2, None), (13, None), (3, None)])
    assert [found[0], found[2]] == [2, 3]
    assert str(found[1]) == "thirteen"


def test_who_has_given_up_costs_nothing() -> None:
    model = Model()
    worker = Worker(model, waiting=10, together=4, longest=math.inf)
    worker.write(read(1))
    assert model.begun.wait(60)
    assert worker.write(read(2)).cancel()
    kept = worker.write(read(3))
    model.free.set()
    assert kept.result(60) == 3
    worker.close()
    assert [lengths for lengths, _ in model.batches] == [[1], [3]]


def test_places_are_counted() -> None:
    worker = Worker(Model(), waiting=1, together=4, longest=math.inf)
    with worker.place(), pytest.raises(OverloadedError) as error, worker.place():
        pass
    assert error.value.retry_seconds >= 1
    with worker.place():
        assert (worker.placed, worker.refused) == (1, 1)
    worker.close()
