from __future__ import annotations

import pytest

from multimodal_attn.data.batching import BucketBatchSampler

LENGTHS = [float(1 + (7 * i) % 50) for i in range(203)]


def test_every_example_once_an_epoch() -> None:
    sampler = BucketBatchSampler(LENGTHS, batch_size=8, seed=3)
    batches = list(sampler)
    assert sorted(index for batch in batches for _, index in batch) == list(range(len(LENGTHS)))
    assert len(batches) == len(sampler)
    assert max(map(len, batches)) == 8


def test_buckets_waste_less_than_chance() -> None:
    def padding(batches: list[list[int]]) -> float:
        return sum(len(b) * max(LENGTHS[i] for i in b) - sum(LENGTHS[i] for i in b) for b in batches)

    bucketed = BucketBatchSampler(LENGTHS, batch_size=8, seed=3).plan(0)
    random = BucketBatchSampler(LENGTHS, batch_size=8, seed=3, bucket_batches=1).plan(0)
    assert padding(bucketed) < 0.4 * padding(random)


def test_plan_depends_on_seed_and_epoch_only() -> None:
    one, other = (BucketBatchSampler(LENGTHS, batch_size=8, seed=3) for _ in range(2))
    assert one.plan(4) == other.plan(4)
    assert one.plan(4) != one.plan(5)
    assert one.plan(4) != BucketBatchSampler(LENGTHS, batch_size=8, seed=4).plan(4)


def test_skipping_goes_on_in_the_middle_of_an_epoch_once() -> None:
    sampler = BucketBatchSampler(LENGTHS, batch_size=8, seed=3)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.skip = 5
    assert list(sampler) == whole[5:]
    assert list(sampler) == whole


def test_without_shuffling_the_order_is_kept() -> None:
    batches = BucketBatchSampler(LENGTHS, batch_size=50, shuffle=False).plan(0)
    assert [index for batch in batches for index in batch] == list(range(len(LENGTHS)))


def test_batch_size_is_checked() -> None:
    with pytest.raises(ValueError, match=r"data.batch_size: 0"):
        BucketBatchSampler(LENGTHS, batch_size=0)
