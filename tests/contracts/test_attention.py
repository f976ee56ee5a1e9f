"""What every mechanism of conf/attention keeps."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from multimodal_attn.models.attention.base import Attention
from multimodal_attn.models.attention.normalizers import NormalizerName
from tests.contracts.parts import choices, memory, pad_memory, part, takes

QUERY_DIM, ROWS = 24, 3
NORMALIZED = [
    (name, normalizer)
    for name in choices("attention")
    for normalizer in get_args(NormalizerName)
    if takes("attention", name, "normalizer")
]


def mechanism(name: str, **arguments: object) -> Attention:
    made: Attention = part("attention", name, **arguments)(query_dim=QUERY_DIM, memory_dim=20)
    return made.eval()


def run(attention: Attention, source, queries):
    """Weights and contexts of several steps."""
    projected, state = attention.project(source), attention.start(source, ROWS)
    weights, contexts = [], []
    for query in queries:
        context, weight, state = attention(query, projected, source, state)[:3]
        weights.append(weight)
        contexts.append(context)
    return torch.stack(weights), torch.stack(contexts)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", choices("attention"))
def test_shapes_and_distribution(name: str, training: bool) -> None:
    attention, source = mechanism(name).train(training), memory()
    weights, contexts = run(attention, source, torch.randn(3, 4, ROWS, QUERY_DIM))
    assert weights.shape == (3, 4, ROWS, attention.num_heads, 9)
    assert contexts.shape == (3, 4, ROWS, 20)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    padding = ~source.mask[None, :, None, None].expand_as(weights)
    assert weights[padding].abs().max() == 0
    assert (weights >= 0).all()


@pytest.mark.parametrize("name", choices("attention"))
def test_longer_batch_mate_changes_nothing(name: str) -> None:
    attention, source = mechanism(name), memory()
    queries = torch.randn(3, 4, ROWS, QUERY_DIM)
    weights, contexts = run(attention, source, queries)
    padded_weights, padded_contexts = run(attention, pad_memory(source, 5), queries)
    torch.testing.assert_close(padded_weights[..., :9], weights)
    assert padded_weights[..., 9:].abs().max() == 0
    torch.testing.assert_close(padded_contexts, contexts)


@pytest.mark.parametrize(("name", "normalizer"), NORMALIZED)
def test_every_normalizer_keeps_the_contract(name: str, normalizer: str) -> None:
    attention, source = mechanism(name, normalizer=normalizer, temperature=0.5), memory()
    source.mask[0] = False
    queries = torch.randn(3, 4, ROWS, QUERY_DIM)
    weights, contexts = run(attention, source, queries)
    assert weights[:, 0].abs().max() == 0
    torch.testing.assert_close(weights[:, 1:].sum(-1), torch.ones(weights[:, 1:].shape[:-1]))
    assert (weights >= 0).all()
    padded_weights, padded_contexts = run(attention, pad_memory(source, 5), queries)
    torch.testing.assert_close(padded_weights[..., :9], weights)
    assert padded_weights[..., 9:].abs().max() == 0
    torch.testing.assert_close(padded_contexts, contexts)
    assert not torch.allclose(run(mechanism(name, normalizer=normalizer), source, queries)[0], weights)


@pytest.mark.parametrize("name", sorted({name for name, _ in NORMALIZED}))
def test_dropout_is_not_in_the_weights_that_are_reported(name: str) -> None:
    attention, source = mechanism(name, dropout=0.5), memory()
    query = torch.randn(4, ROWS, QUERY_DIM)
    projected, state = attention.project(source), attention.start(source, ROWS)
    context, weights, after = attention(query, projected, source, state)[:3]
    dropped_context, dropped_weights, dropped_after = attention.train()(query, projected, source, state)[:3]
    torch.testing.assert_close(dropped_weights, weights)
    assert not torch.allclose(dropped_context, context)
    if after is not None and name != "forward_attention":  # whose agent reads the context
        torch.testing.assert_close(dropped_after, after)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", choices("attention"))
def test_source_without_real_positions_stays_finite(name: str, training: bool) -> None:
    attention, source = mechanism(name).train(training), memory()
    source.mask[0] = False
    source.states.requires_grad_()
    weights, contexts = run(attention, source, torch.randn(2, 4, ROWS, QUERY_DIM))
    contexts.sum().backward()
    assert weights.isfinite().all()
    assert source.states.grad is not None
    assert source.states.grad.isfinite().all()


@pytest.mark.parametrize("name", choices("attention"))
def test_rows_do_not_see_each_other(name: str) -> None:
    attention, source = mechanism(name), memory()
    queries = torch.randn(3, 4, ROWS, QUERY_DIM)
    changed = queries.clone()
    changed[:, :, 0] += 1.0
    before, after = run(attention, source, queries)[0], run(attention, source, changed)[0]
    torch.testing.assert_close(after[:, :, 1:], before[:, :, 1:])


@pytest.mark.parametrize("name", choices("attention"))
def test_gradient_reaches_every_parameter(name: str) -> None:
    # In training: what decides hard in evaluation has no gradient there.
    attention, source = mechanism(name).train(), memory()
    source.states.requires_grad_()
    # What a state carries must reach its parameters as well; nine steps take one position at a time to the last.
    _, contexts = run(attention, source, torch.randn(9, 4, ROWS, QUERY_DIM))
    (contexts * torch.randn_like(contexts)).sum().backward()
    silent = [n for n, p in attention.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert not silent
    assert source.states.grad is not None
    assert source.states.grad[source.mask].abs().min() > 0


@pytest.mark.parametrize("name", choices("attention"))
def test_state_dict_round_trip(name: str) -> None:
    first, second, source = mechanism(name), mechanism(name), memory()
    queries = torch.randn(2, 4, ROWS, QUERY_DIM)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(run(second, source, queries), run(first, source, queries))
