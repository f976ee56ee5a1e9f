"""What each mechanism is named for, on memories small enough to follow by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from multimodal_attn.models.attention import (
    AdditiveAttention,
    Attention,
    CoverageAttention,
    ForwardAttention,
    GeneralAttention,
    LinearAttention,
    LocalAttention,
    LocationAttention,
    MultiHeadLocationAttention,
)
from multimodal_attn.types import Memory, Timeline

H, D, S = 3, 5, 8
REAL = 6  # positions of the second source


def make_memory() -> Memory:
    return Memory(torch.randn(2, S, D), torch.arange(S) < torch.tensor([[S], [REAL]]), Timeline(0.04))


def steps(attention: Attention, memory: Memory, number: int, rows: int = 2) -> Tensor:
    """Weights of some steps with random queries, (T, B, K, N, S)."""
    projected, state, found = attention.project(memory), attention.start(memory, rows), []
    for _ in range(number):
        step = attention(torch.randn(2, rows, H), projected, memory, state)
        state = step.state
        found.append(step.weights)
    return torch.stack(found)


def test_additive_scores_are_those_of_the_equation() -> None:
    attention, memory, query = AdditiveAttention(H, D, 4), make_memory(), torch.randn(2, 1, H)
    hidden = torch.tanh(attention.key(memory.states) + attention.query(query))
    # Sigmoids see the scores themselves: a softmax would not notice a missing constant.
    attention.normalizer.name = "sigmoid"
    expected = torch.sigmoid(attention.score(hidden)[..., 0]) * memory.mask
    found = attention(query, attention.project(memory), memory, None).weights[:, 0, 0]
    torch.testing.assert_close(found, expected / expected.sum(-1, keepdim=True))


def test_general_is_bilinear() -> None:
    attention, memory, query = GeneralAttention(H, D), make_memory(), torch.randn(2, 1, H)
    scores = torch.einsum("bkh,hd,bsd->bks", query, attention.key.weight, memory.states)
    expected = scores.masked_fill(~memory.mask[:, None], -torch.inf).softmax(-1)
    torch.testing.assert_close(attention(query, attention.project(memory), memory, None).weights[:, :, 0], expected)


@pytest.mark.parametrize("attention", [LocationAttention(H, D, 4), MultiHeadLocationAttention(H, D, 4, num_heads=2)])
def test_location_starts_uniform_over_real_positions(attention: Attention) -> None:
    state = attention.start(make_memory(), 3)
    assert state is not None
    assert state.shape[:2] == (2, 3)
    assert state[0].unique().tolist() == [1 / S]
    assert state[1, ..., :REAL].unique().tolist() == pytest.approx([1 / REAL])
    assert state[1, ..., REAL:].unique().tolist() == [0]


def test_one_head_of_multihead_location_weighs_as_location() -> None:
    one = LocationAttention(H, D, 4, num_filters=2, kernel_size=3)
    many = MultiHeadLocationAttention(H, D, 4, num_heads=1, num_filters=2, kernel_size=3)
    with torch.no_grad():
        for name in ("key.weight", "key.bias", "query.weight"):
            many.get_parameter(name).copy_(one.get_parameter(name))
        many.location_filters.weight.copy_(one.location_filters.weight[:, None])
        many.location.weight.copy_(one.location.weight[..., None])
        many.score.copy_(one.score.weight)
    memory = make_memory()
    torch.manual_seed(3)
    expected = steps(one, memory, 3)
    torch.manual_seed(3)
    torch.testing.assert_close(steps(many, memory, 3), expected)


def test_heads_of_multihead_location_follow_only_themselves() -> None:
    attention, memory = MultiHeadLocationAttention(H, D, 8, num_heads=2, num_filters=2, kernel_size=3), make_memory()
    start = attention.start(memory, 1)
    other = start.clone()
    other[:, :, 1] = torch.eye(S)[2]
    query, projected = torch.randn(2, 1, H), attention.project(memory)
    before, after = (attention(query, projected, memory, state).weights for state in (start, other))
    torch.testing.assert_close(after[:, :, 0], before[:, :, 0])
    assert not torch.allclose(after[:, :, 1], before[:, :, 1])


def test_coverage_is_the_sum_of_past_weights_and_enters_the_score() -> None:
    attention, memory = CoverageAttention(H, D, 4), make_memory()
    projected, query = attention.project(memory), torch.randn(2, 1, H)
    first = attention(query, projected, memory, attention.start(memory, 1))
    second = attention(query, projected, memory, first.state)
    torch.testing.assert_close(second.state, (first.weights + second.weights)[:, :, 0])
    hidden = attention.key(memory.states)[:, None] + attention.query(query)[:, :, None]
    hidden = hidden + first.weights[:, :, 0, :, None] * attention.coverage.weight[:, 0]
    scores = attention.score(hidden.tanh())[..., 0].masked_fill(~memory.mask[:, None], -torch.inf)
    torch.testing.assert_close(second.weights[:, :, 0], scores.softmax(-1))


@pytest.mark.parametrize("feature_map", ["elu", "relu"])
def test_context_of_linear_attention_is_the_memory_weighted_by_what_it_shows(feature_map: str) -> None:
    attention, memory = LinearAttention(H, D, 4, feature_map=feature_map), make_memory()  # type: ignore[arg-type]
    step = attention(3 * torch.randn(2, 2, H), attention.project(memory), memory, None)
    torch.testing.assert_close(step.context, step.weights[:, :, 0] @ memory.states)
    assert step.weights.std() > 0.01


def test_local_attention_is_a_gaussian_times_the_alignment_in_its_window() -> None:
    attention, memory, query = LocalAttention(H, D, 4, window=2), make_memory(), torch.randn(2, 1, H)
    found = attention(query, attention.project(memory), memory, None).weights[:, 0, 0]
    last = torch.tensor([S - 1, REAL - 1])
    centre = last * torch.sigmoid(attention.centre_score(attention.centre_hidden(query).tanh())[:, 0, 0])
    distance = torch.arange(S) - centre[:, None]
    scores = (query @ attention.key(memory.states).transpose(1, 2))[:, 0]
    products = scores.exp() * torch.exp(-distance.square() / (2 * (2 / 2) ** 2)) * memory.mask * (distance.abs() <= 2)
    torch.testing.assert_close(found, products / products.sum(-1, keepdim=True))
    assert ((found > 0).sum(-1) <= 5).all()


def test_local_attention_around_the_previous_peak_goes_forward_by_its_window() -> None:
    attention, memory = LocalAttention(H, D, 4, window=2, center="previous"), make_memory()
    projected, query = attention.project(memory), torch.randn(2, 1, H)
    first = attention(query, projected, memory, attention.start(memory, 1))
    assert first.weights[..., 5:].abs().max() == 0  # from position 0: a centre up to 2, and 2 further
    state = torch.eye(S)[[5, 5]][:, None]
    later = attention(query, projected, memory, state).weights
    assert later[..., :3].abs().max() == 0
    torch.testing.assert_close(later.sum(-1), torch.ones(2, 1, 1))
    assert later[1, ..., REAL:].abs().max() == 0


@pytest.mark.parametrize("reach", [1, 3])
def test_forward_attention_without_agent_by_its_recursion(reach: int) -> None:
    attention, memory = ForwardAttention(H, D, 4, reach=reach, agent=False), make_memory()
    queries = torch.randn(4, 2, 1, H)
    projected, state = attention.project(memory), attention.start(memory, 1)
    previous = torch.zeros(2, S)
    previous[:, 0] = 1
    for query in queries:
        step = attention(query, projected, memory, state)
        state = step.state
        scores = attention.score(torch.tanh(attention.key(memory.states) + attention.query(query)))[..., 0]
        moved = sum(torch.nn.functional.pad(previous, (shift, 0))[:, :S] for shift in range(reach + 1))
        products = moved * scores.exp() * memory.mask
        previous = products / products.sum(-1, keepdim=True)
        torch.testing.assert_close(step.weights[:, 0, 0], previous)


def test_transition_agent_decides_how_far_to_go() -> None:
    attention, memory = ForwardAttention(H, D, 4, reach=2), make_memory()
    assert attention.agent is not None
    torch.nn.init.zeros_(attention.agent.weight)
    with torch.no_grad():
        attention.agent.bias.copy_(torch.tensor([-60.0, -60.0, 60.0]))  # always two positions
    found = steps(attention, memory, 3, rows=1)[:, :, 0, 0]
    # The first step moves by the start's equal probabilities: to 0, 1 or 2; the agent speaks from the second on.
    assert (found[0, :, :3] > 0).all()
    assert found[0, :, 3:].max() == 0
    assert found[1, :, :2].max() < 1e-6
    assert found[2, 0, :4].max() < 1e-6
    torch.testing.assert_close(found.sum(-1), torch.ones(3, 2))


def test_forward_attention_at_the_end_stays_finite() -> None:
    attention, memory = ForwardAttention(H, D, 4, reach=1), make_memory()
    found = steps(attention, memory, 40)
    torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:-1]))


def test_widths_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"attention.attention_dim: 6 is not a multiple"):
        MultiHeadLocationAttention(H, D, 6, num_heads=4)
