from __future__ import annotations

import pytest

from multimodal_attn.data.loading.batching import BucketBatchSampler

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
    sampler.begin_at(2, 5)
    assert list(sampler) == whole[5:]
    assert list(sampler) == whole[5:]  # a loader may begin to iterate more than once
    sampler.set_epoch(3)
    assert len(list(sampler)) == len(whole)


def test_without_shuffling_the_order_is_kept() -> None:
    batches = BucketBatchSampler(LENGTHS, batch_size=50, shuffle=False).plan(0)
    assert [index for batch in batches for index in batch] == list(range(len(LENGTHS)))


# ------------------------------------------------------------------------------------------- by duration


def by_seconds(**settings) -> BucketBatchSampler:
    return BucketBatchSampler(LENGTHS, batch_size=1, **{"seed": 3, "batch_seconds": 200.0, **settings})


@pytest.mark.parametrize("quadratic", [0.0, 0.02])
def test_no_batch_costs_more_than_it_may(quadratic: float) -> None:
    sampler = by_seconds(quadratic_seconds=quadratic)
    for epoch in range(20):
        batches = sampler.plan(epoch)
        assert sorted(index for batch in batches for index in batch) == list(range(len(LENGTHS)))
        costs = [len(b) * (s + quadratic * s**2) for b in batches for s in [max(LENGTHS[i] for i in b)]]
        assert max(costs) <= 200.0
        # What blurring and rounding leave of each batch: most of it is used.
        assert sum(costs) / len(costs) > 0.7 * 200.0
        padded = sum(len(b) * max(LENGTHS[i] for i in b) for b in batches)
        assert sum(LENGTHS) > 0.85 * padded


def test_epochs_have_equally_many_batches_of_other_examples() -> None:
    sampler = by_seconds()
    plans = [sampler.plan(epoch) for epoch in range(10)]
    assert {len(plan) for plan in plans} == {len(sampler)}
    together = [{frozenset(batch) for batch in plan} for plan in plans]
    assert len(together[0] & together[1]) < 0.3 * len(sampler)
    assert plans[4] == by_seconds().plan(4)


def test_largest_batch_is_as_large_as_any() -> None:
    for sampler, quadratic in (
        (by_seconds(), 0.0),
        (by_seconds(quadratic_seconds=0.05), 0.05),
        (BucketBatchSampler(LENGTHS, batch_size=8), 0.0),
    ):
        plans = [sampler.largest()], *(sampler.plan(epoch) for epoch in range(5))
        found, *of_epochs = [
            max(len(b) * (s + quadratic * s**2) for b in plan for s in [max(LENGTHS[i] for i in b)]) for plan in plans
        ]
        assert found >= 0.85 * max(of_epochs)


@pytest.mark.parametrize("settings", [{}, {"batch_seconds": None, "batch_size": 8}])
def test_short_ones_come_first_while_asked(settings: dict[str, float | None]) -> None:
    sampler = BucketBatchSampler(LENGTHS, **{"batch_size": 1, "batch_seconds": 200.0, **settings}, short_first_epochs=2)
    for epoch in range(4):
        longest = [max(LENGTHS[i] for i in batch) for batch in sampler.plan(epoch)]
        assert (longest == sorted(longest)) == (epoch < 2)


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("batch_seconds", [200.0, None])
def test_processes_share_evenly(world_size: int, batch_seconds: float | None) -> None:
    samplers = [
        BucketBatchSampler(LENGTHS, 8, seed=3, batch_seconds=batch_seconds, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    plans = [sampler.plan(1) for sampler in samplers]
    assert {len(plan) for plan in plans} == {len(samplers[0])}
    indices = [index for plan in plans for batch in plan for index in batch]
    assert sorted(indices) == list(range(len(LENGTHS)))  # none twice, none lost
    if batch_seconds is not None:
        assert all(len(batch) * max(LENGTHS[i] for i in batch) <= batch_seconds for plan in plans for batch in plan)
    # Batches of one step are of like length, so that no process waits long for another.
    steps = list(zip(*plans, strict=True))
    gaps = [abs(max(LENGTHS[i] for i in a) - max(LENGTHS[i] for i in b)) for a, b, *_ in steps]
    assert sum(gaps) / len(gaps) < 5


def test_processes_share_a_set_in_order() -> None:
    samplers = [BucketBatchSampler([1.0] * 10, 3, shuffle=False, rank=rank, world_size=3) for rank in range(3)]
    assert [sampler.plan(0) for sampler in samplers] == [[[0, 1, 2], [9]], [[3, 4, 5]], [[6, 7, 8]]]
    assert [len(sampler) for sampler in samplers] == [2, 1, 1]


def test_skipping_goes_on_in_a_share_by_duration() -> None:
    sampler = by_seconds(rank=1, world_size=2)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.begin_at(2, 3)
    assert list(sampler) == whole[3:]


def test_an_example_beyond_the_limit_is_named() -> None:
    with pytest.raises(ValueError, match=r"data.batch_seconds: 40; the longest example has 50.0 s and costs 50.0"):
        by_seconds(batch_seconds=40.0)
