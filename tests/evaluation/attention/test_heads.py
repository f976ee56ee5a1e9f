"""Figures of heads, of matrices whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.evaluation.attention.heads import heads_of, measure_head
from multimodal_attn.prediction.self_attention import Reads, SelfAttention

SIZE = 10
PREVIOUS = np.eye(SIZE, k=-1)
PREVIOUS[0, 0] = 1.0
UNIFORM = np.full((SIZE, SIZE), 1 / SIZE)
CAUSAL = np.tril(np.ones((SIZE, SIZE))) / np.arange(1, SIZE + 1)[:, None]


def test_a_head_that_reads_the_token_before() -> None:
    head = measure_head(PREVIOUS, (1, SIZE), extra=0, causal=False)
    assert head.figures["entropy"] == pytest.approx(0)
    assert head.figures["previous"] == pytest.approx(1)
    assert head.figures["distance"] == pytest.approx(0.9)  # the first reads itself
    assert head.figures["positional"] == pytest.approx(0.9)
    assert head.figures["sink"] == 0
    assert head.offsets == {-1: 9, 0: 1}


def test_a_uniform_head_points_nowhere() -> None:
    head = measure_head(UNIFORM, (1, SIZE), extra=0, causal=False)
    assert head.figures["entropy"] == pytest.approx(1)
    assert head.figures["previous"] == head.figures["positional"] == pytest.approx(0.1)
    assert head.figures["sink"] == 0
    # Uniform over what it may read, which for the first token is nothing to tell.
    assert measure_head(CAUSAL, (1, SIZE), extra=0, causal=True).figures["entropy"] == pytest.approx(1)


def test_a_head_with_all_its_weight_on_the_first_token() -> None:
    weights = np.zeros((SIZE, SIZE))
    weights[:, 0] = 1
    head = measure_head(weights, (1, SIZE), extra=0, causal=True)
    assert head.figures["sink"] == pytest.approx(1)
    assert head.figures["positional"] == pytest.approx(0.1)
    assert head.figures["distance"] == pytest.approx(4.5)


def test_patches_lie_in_rows_and_columns_and_the_class_token_nowhere() -> None:
    weights = np.zeros((7, 7))  # a class token and 2 x 3 patches, each of which reads the one to its right or itself
    weights[0] = 1 / 7
    for patch in range(6):
        weights[1 + patch, 1 + (patch if patch % 3 == 2 else patch + 1)] = 1
    head = measure_head(weights, (2, 3), extra=1, causal=False)
    assert "previous" not in head.figures
    assert head.offsets == {(0, 1): 4, (0, 0): 2}
    assert head.figures["distance"] == pytest.approx(4 / 6)
    assert head.figures["entropy"] == pytest.approx(1 / 7)
    diagonal = np.zeros((4, 4))
    diagonal[:, 3] = 1
    assert measure_head(diagonal, (2, 2), 0, False).figures["distance"] == pytest.approx((2**0.5 + 1 + 1) / 4)


def reads(weights: np.ndarray) -> SelfAttention:
    head = measure_head(weights, (1, len(weights)), 0, False)
    made = Reads("encoder", [weights[None]], [[head]], (1, len(weights)))
    return SelfAttention([made], np.zeros((1, len(weights))))


def test_examples_are_averaged_and_their_peaks_counted_together() -> None:
    found = heads_of([reads(PREVIOUS), reads(np.eye(4))])
    assert found["num_examples"] == 2
    (((head,),),) = [found["encoder"]]
    assert head["previous"] == pytest.approx(0.5)
    assert (head["positional"], head["offset"]) == (pytest.approx(9 / 14, abs=1e-4), -1)
    assert heads_of([]) == {}


def test_neighbors_are_pooled_to_their_mean_reading_the_sum() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(10), size=(1, 2, 10)).astype(np.float32)
    whole = Reads("encoder", list(weights), [[]], (3, 3), extra=1)
    assert whole.pooled(9) is whole
    small = whole.pooled(4)
    assert (small.shape, small.factor, small.weights[0].shape) == ((2, 2), 2, (2, 5, 5))
    np.testing.assert_allclose(small.weights[0].sum(-1), 1, rtol=1e-5)
    corner = [1, 2, 4, 5]  # the first two patches of the first two rows, behind the class token
    np.testing.assert_allclose(small.weights[0][1, 1, 1], weights[0, 1][np.ix_(corner, corner)].sum() / 4, rtol=1e-5)
    np.testing.assert_allclose(small.weights[0][0, 0, 1], weights[0, 0, 0, corner].sum(), rtol=1e-5)
    assert small.pooled(1).factor == 4
    line = Reads("decoder", list(weights), [[]], (1, 10)).pooled(4)
    assert (line.shape, line.factor) == ((1, 4), 3)
