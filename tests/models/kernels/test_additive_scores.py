"""Additive scores block by block against the definition: values and gradients, float64, random shapes and masks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from multimodal_attn.models.kernels import additive_scores as module
from multimodal_attn.models.kernels.additive_scores import (
    HiddenGradients,
    HiddenLayer,
    additive_keys,
    additive_scores,
    last_real,
    plain_additive_scores,
)


def inputs(sources: int, rows: int, size: int, width: int, known: int, dtype: torch.dtype) -> list[Tensor | None]:
    shapes = [(sources, size, width), (sources, rows, width), (width,)]
    shapes += [(sources, rows, size, known), (width, known)] if known else []
    found = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]
    return [*found, *[None] * (5 - len(found))]


@pytest.mark.parametrize("uses", [1, 100])
@pytest.mark.parametrize("block", [1, 40, 2**18])
@pytest.mark.parametrize("known", [0, 3])
@pytest.mark.parametrize(("sources", "rows", "size", "width"), [(3, 1, 7, 5), (4, 3, 6, 4), (1, 2, 1, 3)])
def test_values_and_gradients(
    block: int, uses: int, known: int, sources: int, rows: int, size: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    torch.manual_seed(0)
    keys, queries, score, features, projection = given = inputs(sources, rows, size, width, known, torch.float64)
    mask = torch.rand(sources, size) < 0.7
    mask[0] = False
    real = mask[:, None].double()
    plain = plain_additive_scores(*given)
    with torch.no_grad():
        torch.testing.assert_close(additive_scores((keys,), *given[1:]), plain)  # nothing left out
        torch.testing.assert_close(additive_scores((keys,), *given[1:], mask=mask) * real, plain * real)

    upstream = torch.randn_like(plain) * real
    expected = torch.autograd.grad(plain, [tensor for tensor in given if tensor is not None], upstream)
    projection_now = None if projection is None else projection.detach()
    layer = HiddenLayer(keys.detach(), score.detach(), projection_now, last_real(mask), uses)
    assert layer.exponential == (uses > 1 and known == 0)
    gradients = HiddenGradients(layer)
    known_now = None if features is None else features.detach()
    for part in (0.3, 0.7):  # as from two steps
        d_queries = torch.empty_like(queries)
        d_features = gradients.add(layer.ready(2 * queries.detach()), known_now, part * upstream, d_queries)
    d_keys, d_score, d_projection = gradients.whole()
    # The constant -sum(v) is not the layer's.
    found = [d_keys, 2 * d_queries * layer.score / part, d_score - upstream.sum()]
    found += [] if d_features is None else [d_features / part, d_projection]
    for gradient, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_the_definition_is_taken_where_a_gradient_is_wanted() -> None:
    given = inputs(2, 1, 3, 4, 0, torch.float64)
    assert torch.autograd.gradgradcheck(lambda keys, *others: additive_scores((keys,), *others), given[:3])


@pytest.mark.parametrize("known", [0, 3])
def test_keys_that_are_made_once_give_the_same_scores(known: int) -> None:
    torch.manual_seed(0)
    keys, queries, score, features, projection = inputs(3, 2, 7, 5, known, torch.float64)
    expected = plain_additive_scores(keys, queries, score, features, projection)
    with torch.no_grad():
        made = additive_keys(keys / 2, exponentials=known == 0)
        assert len(made) == (1 if known else 2)
        torch.testing.assert_close(additive_scores(made, queries, score, features, projection), expected)
    assert len(additive_keys(keys / 2)) == 1  # in training there are only the keys


def test_bf16_inputs_get_scores_in_float32() -> None:
    torch.manual_seed(0)
    keys, queries, score, features, projection = inputs(2, 2, 9, 8, 3, torch.float32)
    low = [tensor.detach().bfloat16() for tensor in (keys, queries, features)]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = additive_scores((low[0],), low[1], score, low[2], projection)
    with torch.no_grad():
        expected = plain_additive_scores(low[0].float(), low[1].float(), score, low[2].float(), projection)
    torch.testing.assert_close(found, expected)


def test_blocks_cover_every_row_once_and_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 60)
    lengths = [1, 5, 0, 2, 9, 3]
    for rows in (1, 2, 7):
        layer = HiddenLayer(torch.randn(6, 9, 4), torch.randn(4), None, lengths, uses=1)
        for sources in (1, 4, 6):
            covered = torch.zeros(sources, rows, 9)
            for block in layer.blocks(sources, rows):
                covered[block.sources, block.rows, : block.size] += 1
                number = covered[block.sources, block.rows, : block.size].numel() * 4
                one_row = block.rows.stop - block.rows.start == 1 and block.sources.stop - block.sources.start == 1
                assert number <= 60 or one_row
            for source, length in enumerate(lengths[:sources]):
                assert covered[source, :, :length].eq(1).all()
            assert covered.max() == 1


def test_last_real_counts_up_to_the_last_one() -> None:
    mask = torch.tensor([[True, False, True, False], [False] * 4, [True] * 4])
    assert last_real(mask) == [3, 0, 4]


def test_exponentials_stay_finite_and_near_the_definition() -> None:
    keys, queries, score = torch.randn(1, 50, 8), torch.randn(1, 4, 8) / 2, torch.randn(8)
    for scale in (1, 10, 1000):
        with torch.no_grad():
            found = additive_scores((scale * keys,), scale * queries, score)
        expected = plain_additive_scores(scale * keys, scale * queries, score)
        # Where both terms are beyond 40, only their signs count, so that their sum may have either.
        bound = 1e-5 if scale < 1000 else 2 * score.abs().sum()
        assert (found - expected).abs().max() < bound
