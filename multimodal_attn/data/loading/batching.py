"""Batches of examples of similar length: seeded, and resumable in the middle of an epoch."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

_JITTER = 0.1  # share of its length by which an example may move among its neighbors


class BucketBatchSampler(Sampler[list[tuple[int, int]]]):
    """Groups examples of like length, so that little of a batch is padding, and shuffles the groups.

    An epoch's plan depends on the seed and the epoch alone. An item is (epoch, index): whatever an example draws at
    random can depend on both, and so a resumed run draws the same. The number of batches is the same in every epoch.

    With ``batch_seconds`` a batch costs its number of examples times the cost of its longest, which is
    ``seconds + quadratic_seconds * seconds ** 2``: the padded audio, and what self-attention adds to it.

    Args:
        lengths: of every example, in any one unit; that of ``batch_seconds``, which need not be seconds.
        batch_size: examples in a batch at most; not looked at with ``batch_seconds``.
        shuffle: False keeps the order of the data set, without buckets.
        bucket_batches: how many batches' worth of shuffled examples are sorted together; with ``batch_seconds`` all
            examples are sorted, by lengths that are blurred anew in every epoch.
        seed: of the shuffling.
        batch_seconds: the most that a batch may cost; None counts examples. Only with ``shuffle``.
        quadratic_seconds: see above.
        short_first_epochs: in so many first epochs batches come in the order of their length, the shortest first.
        rank, world_size: this process and their number. Shuffled, each gets an equal number of batches, and those that
            processes take at the same time are of like length; in order, batch n goes to process n % world_size.

    Raises:
        ValueError: if an example alone costs more than ``batch_seconds``.
    """

    def __init__(
        self,
        lengths: Sequence[float],
        batch_size: int,
        shuffle: bool = True,
        bucket_batches: int = 20,
        seed: int = 0,
        batch_seconds: float | None = None,
        quadratic_seconds: float = 0.0,
        short_first_epochs: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        assert shuffle or batch_seconds is None, "sizes by cost are cut for sorted examples"
        self.lengths, self.batch_size = lengths, batch_size
        self.shuffle, self.bucket_batches, self.seed = shuffle, bucket_batches, seed
        self.quadratic_seconds, self.short_first_epochs = quadratic_seconds, short_first_epochs
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self._begun = (0, 0)  # an epoch, and how many of its batches a resumed run has seen already
        # Lightning tells the epoch to `loader.batch_sampler.sampler`.
        self.sampler = self
        self._sizes = self._equal_sizes() if batch_seconds is None else self._sizes_by_cost(batch_seconds)
        self.by_cost = batch_seconds is not None

    def _equal_sizes(self) -> list[int]:
        number, rest = divmod(len(self.lengths), self.batch_size)
        return [self.batch_size] * number + [rest] * (rest > 0)

    def _sizes_by_cost(self, limit: float) -> list[int]:
        """Sizes of batches that cover the examples from the longest to the shortest."""
        descending = sorted(self.lengths, reverse=True)
        if descending and self._cost(descending[0]) > limit:
            raise ValueError(
                f"data.batch_seconds: {limit:g}; the longest example has {descending[0]:.1f} s and costs"
                f" {self._cost(descending[0]):.1f}; raise it, or leave such examples out with data.max_seconds"
            )
        sizes: list[int] = []
        while (start := sum(sizes)) < len(descending):
            # Blurring may bring an example here whose length is that much above what stood here before.
            worst = self._cost(min(descending[0], descending[start] / (1 - _JITTER)))
            sizes.append(min(max(1, int(limit / worst)), len(descending) - start))
        return sizes

    def _cost(self, seconds: float) -> float:
        return seconds + self.quadratic_seconds * seconds**2

    def set_epoch(self, epoch: int) -> None:
        """Chooses the plan that the next iteration follows."""
        self.epoch = epoch

    def fingerprint(self, epoch: int) -> str:
        """Equal for samplers that share an epoch out in the same batches among as many processes."""
        plan = (self.world_size, self.plan(epoch))
        return hashlib.sha256(repr(plan).encode()).hexdigest()

    def begin_at(self, epoch: int, batches: int) -> None:
        """Chooses an epoch, and leaves out its first batches, which a resumed run has seen already."""
        self.epoch, self._begun = epoch, (epoch, batches)

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch that this process takes, as indices."""
        order = list(range(len(self.lengths)))
        generator = random.Random(f"{self.seed}-{epoch}")
        if self.shuffle and self.by_cost:
            blurred = [seconds * (1 - _JITTER * generator.random()) for seconds in self.lengths]
            order.sort(key=lambda i: -blurred[i])
        elif self.shuffle:
            generator.shuffle(order)
            bucket = self.bucket_batches * self.batch_size
            order = [
                index
                for start in range(0, len(order), bucket)
                for index in sorted(order[start : start + bucket], key=lambda i: self.lengths[i])
            ]
        batches, start = [], 0
        for size in self._sizes:
            batches.append(order[start : start + size])
            start += size
        if self.shuffle:
            generator.shuffle(batches)
            if epoch < self.short_first_epochs:
                batches.sort(key=self._longest)
        return self._share(batches, generator, in_order=epoch < self.short_first_epochs)

    def _share(self, batches: list[list[int]], generator: random.Random, in_order: bool) -> list[list[int]]:
        """This process's batches: one of each group of ``world_size`` batches of like length."""
        if self.world_size == 1:
            return batches
        if not self.shuffle:
            return batches[self.rank :: self.world_size]
        # All processes must take equally many steps, and no example is to be taken twice.
        for _ in range(-len(batches) % self.world_size):
            batches.sort(key=len)
            if len(batches[-1]) > 1:
                last = batches.pop()
                batches += [last[: len(last) // 2], last[len(last) // 2 :]]
            else:  # there is nothing to divide
                batches.append(batches[0])
        batches.sort(key=self._longest)
        groups = [batches[start : start + self.world_size] for start in range(0, len(batches), self.world_size)]
        if not in_order:
            generator.shuffle(groups)
        return [group[self.rank] for group in groups]

    def _longest(self, batch: list[int]) -> float:
        return max(self.lengths[index] for index in batch)

    def largest(self) -> list[int]:
        """A batch that needs as much memory as any that an epoch holds, but for the blurring of lengths."""
        order = sorted(range(len(self.lengths)), key=lambda i: -self.lengths[i])
        starts = [sum(self._sizes[:number]) for number in range(len(self._sizes))] if self.by_cost else [0]
        costs = [
            size * self._cost(self.lengths[order[start]]) for size, start in zip(self._sizes, starts, strict=False)
        ]
        worst = costs.index(max(costs))
        return order[starts[worst] : starts[worst] + self._sizes[worst]]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        # At once, not when the first batch is asked for: a loader with workers fetches ahead.
        epoch, (begun, seen) = self.epoch, self._begun
        batches = self.plan(epoch)[seen if epoch == begun else 0 :]
        return ([(epoch, index) for index in batch] for batch in batches)

    def __len__(self) -> int:
        if not self.shuffle:
            return len(range(self.rank, len(self._sizes), self.world_size))
        return -(-len(self._sizes) // self.world_size)
