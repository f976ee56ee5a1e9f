"""A thread that decodes what waits, together."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from multimodal_attn.runtime.output import Output
from multimodal_attn.runtime.runtime import Read


class Model(Protocol):
    """What ``Runtime`` is to a worker."""

    @property
    def together(self) -> bool:
        """Whether sources may be decoded together."""

    def write(self, sources: Sequence[Read], width: int | None = None) -> list[Output]:
        """What the model writes for sources, decoded together."""


class OverloadedError(RuntimeError):
    """As many requests wait as may.

    Attributes:
        retry_seconds: after which there should be room.
    """

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"too many requests wait; expected to be asked again in {retry_seconds} s")
        self.retry_seconds = retry_seconds


class _Job(NamedTuple):
    source: Read
    width: int | None
    answer: Future[Output]


class Worker:
    """Reads sources in one thread and decodes them in another: those that wait, together.

    Nobody waits for company. While some are decoded others come, and they are the next batch: those of the same beam,
    in the order in which they came, as long as padded to the longest they hold no more than ``longest`` would.

    Args:
        model: that writes.
        waiting: how many may have a ``place`` at a time.
        together: sources of a batch at most.
        longest: length of the longest source that is taken, as the first graph counts it.
    """

    def __init__(self, model: Model, waiting: int, together: int, longest: float) -> None:
        self._model, self._waiting, self._longest = model, waiting, longest
        self._together = together if model.together else 1
        self._jobs: deque[_Job] = deque()
        self._change = threading.Condition()
        self._closing, self._seconds_each = False, 0.05  # a first guess
        self.placed = self.answered = self.refused = 0
        self._reader = ThreadPoolExecutor(1, "reading")
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it takes more."""
        return self._thread.is_alive() and not self._closing

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those that wait, to be held until the answer is there; from one thread only.

        Raises:
            OverloadedError: if there is none.
        """
        if self.placed >= self._waiting:
            self.refused += 1
            raise OverloadedError(min(60, max(1, math.ceil(self.placed * self._seconds_each))))
        self.placed += 1
        try:
            yield
        finally:
            self.placed -= 1

    def read(self, reading: Callable[[], Read]) -> Future[Read]:
        """What reads a source for ``write``; one after the other, as each may be large."""
        return self._reader.submit(reading)

    def write(self, source: Read, width: int | None = None) -> Future[Output]:
        """What the model writes for it; one that is canceled before its turn costs nothing."""
        job = _Job(source, width, Future())
        with self._change:
            self._jobs.append(job)
            self._change.notify()
        return job.answer

    def close(self) -> None:
        """Ends when all that waits is answered."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join()
        self._reader.shutdown()

    def _work(self) -> None:
        while batch := self._next():
            begin = time.perf_counter()
            self._answer(batch)
            each = (time.perf_counter() - begin) / len(batch)
            self._seconds_each += (each - self._seconds_each) / 8

    def _next(self) -> list[_Job]:
        """Some that wait, as soon as there are any; none at the end."""
        with self._change:
            while True:
                self._change.wait_for(lambda: self._jobs or self._closing)
                taken = self._take()
                if taken or self._closing:
                    return taken

    def _take(self) -> list[_Job]:
        """Takes those that are answered together: of one width, in order, as long as padding leaves room."""
        taken: list[_Job] = []
        longest, remaining = 0, deque[_Job]()
        for job in self._jobs:
            size = max(longest, len(job.source.array))
            room = len(taken) < self._together and size * (len(taken) + 1) <= self._longest
            if taken and not (room and job.width == taken[0].width):
                remaining.append(job)
            elif job.answer.set_running_or_notify_cancel():
                taken.append(job)
                longest = size
        self._jobs = remaining
        return taken

    def _answer(self, batch: list[_Job]) -> None:
        try:
            found = self._model.write([job.source for job in batch], batch[0].width)
        except Exception as error:
            if len(batch) > 1:  # the others need not pay for one
                for job in batch:
                    self._answer([job])
            else:
                batch[0].answer.set_exception(error)
            return
        for job, output in zip(batch, found, strict=True):
            job.answer.set_result(output)
        self.answered += len(batch)
