"""Batches of examples of like length: seeded, and resumable in the middle of an epoch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


class BucketBatchSampler(Sampler[list[tuple[int, int]]]):
    """Groups examples of like length, so that little of a batch is padding, and shuffles the groups.

    An epoch's plan depends on the seed and the epoch alone. An item is (epoch, index): whatever an example draws at
    random can depend on both, and so a resumed run draws the same.

    Args:
        lengths: of every example, in any one unit.
        batch_size: examples in a batch at most.
        shuffle: False keeps the order of the data set, without buckets.
        bucket_batches: how many batches' worth of shuffled examples are sorted together.
        seed: of the shuffling.

    Raises:
        ValueError: if ``batch_size`` is below 1.
    """

    def __init__(
        self,
        lengths: Sequence[float],
        batch_size: int,
        shuffle: bool = True,
        bucket_batches: int = 20,
        seed: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"data.batch_size: {batch_size}; expected at least 1")
        self.lengths, self.batch_size = lengths, batch_size
        self.shuffle, self.bucket_batches, self.seed = shuffle, bucket_batches, seed
        self.epoch = 0
        self.skip = 0  # batches of the next epoch that a resumed run has already seen
        # Lightning tells the epoch to `loader.batch_sampler.sampler`.
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Chooses the plan that the next iteration follows."""
        self.epoch = epoch

    def plan(self, epoch: int) -> list[list[int]]:
        """All batches of an epoch, as indices."""
        order = list(range(len(self.lengths)))
        generator = random.Random(f"{self.seed}-{epoch}")
        if self.shuffle:
            generator.shuffle(order)
            bucket = self.bucket_batches * self.batch_size
            order = [
                index
                for start in range(0, len(order), bucket)
                for index in sorted(order[start : start + bucket], key=lambda i: self.lengths[i])
            ]
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        if self.shuffle:
            generator.shuffle(batches)
        return batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        batches = self.plan(self.epoch)[self.skip :]
        self.skip = 0
        for batch in batches:
            yield [(self.epoch, index) for index in batch]

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)
