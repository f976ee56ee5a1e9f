"""Hard attention: what it draws, and what may learn from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from multimodal_attn.models.attention import AdditiveAttention, AttentionStep, HardAttention
from multimodal_attn.types import Memory, TokenAxis

H, D, S, REAL, ROWS = 3, 5, 6, 4, 2000


def make(training: bool = True, **settings: Any) -> tuple[HardAttention, Memory, torch.Tensor]:
    """A mechanism, one memory whose last positions are padding, and the same query in many rows."""
    attention = HardAttention(H, D, 4, **settings).train(training)
    memory = Memory(torch.randn(1, S, D, requires_grad=True), torch.arange(S)[None] < REAL, TokenAxis())
    return attention, memory, (3 * torch.randn(1, 1, H)).expand(-1, ROWS, -1)


def look(attention: HardAttention, memory: Memory, query: torch.Tensor) -> AttentionStep:
    return attention(query, attention.project(memory), memory, attention.start(memory, query.shape[1]))


@pytest.mark.parametrize("estimator", ["reinforce", "gumbel"])
def test_each_context_is_one_position_drawn_with_its_probability(estimator: str) -> None:
    attention, memory, query = make(estimator=estimator, expected_share=0.0)
    step = look(attention, memory, query)
    distance = (step.context[0, :, None] - memory.states[0]).abs().amax(-1)
    torch.testing.assert_close(distance.amin(-1), torch.zeros(ROWS))
    shares = torch.nn.functional.one_hot(distance.argmin(-1), S).float().mean(0)
    probabilities = step.weights[0, 0, 0]
    assert probabilities.std() > 0.05
    torch.testing.assert_close(shares, probabilities, atol=0.04, rtol=0)
    if estimator == "reinforce":
        assert step.choice is not None
        assert step.choice[0, :, 0].tolist() == distance.argmin(-1).tolist()
    else:
        assert step.choice is None


def test_its_probabilities_are_the_weights_of_additive_attention() -> None:
    attention, memory, query = make()
    soft = AdditiveAttention(H, D, 4)
    soft.load_state_dict(attention.state_dict())
    expected = soft(query, soft.project(memory), memory, None)
    torch.testing.assert_close(look(attention, memory, query).weights, expected.weights)
    attention.eval().evaluation = "expected"
    torch.testing.assert_close(look(attention, memory, query).context, expected.context)


def test_half_of_the_texts_take_the_expected_context_in_all_their_steps() -> None:
    attention, memory, query = make(estimator="reinforce")
    projected, state = attention.project(memory), attention.start(memory, ROWS)
    first = attention(query, projected, memory, state)
    second = attention(query, projected, memory, first.state)
    expected = first.weights[:, :, 0] @ memory.states
    for step in (first, second):
        assert torch.equal(step.choice[..., 0] < 0, state)
        torch.testing.assert_close(step.context[state], expected[state])
        assert not torch.isclose(step.context[~state], expected[~state]).all(-1).any()
    assert float(state.float().mean()) == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(first.choice, second.choice)


def test_evaluation_takes_the_most_probable_position() -> None:
    attention, memory, query = make(training=False)
    step = look(attention, memory, query[:, :2])
    best = int(step.weights[0, 0, 0].argmax())
    torch.testing.assert_close(step.context[0], memory.states[0, best].expand(2, -1))


def test_only_gumbel_gives_the_scores_a_gradient() -> None:
    for estimator in ("gumbel", "reinforce"):
        attention, memory, query = make(estimator=estimator, expected_share=0.0)
        look(attention, memory, query).context.square().sum().backward()
        assert attention.score.weight.grad is not None
        assert (attention.score.weight.grad.abs().max() > 0) == (estimator == "gumbel")


def test_gumbels_gradient_is_that_of_its_softmax() -> None:
    attention, memory, query = make(expected_share=0.0, temperature=0.5)
    towards = torch.randn(1, 3, D)
    torch.manual_seed(5)
    (look(attention, memory, query[:, :3]).context * towards).sum().backward()
    torch.manual_seed(5)
    torch.rand(1, 3)  # which texts take the expected context
    scores = look(attention.eval(), memory, query[:, :3]).weights[:, :, 0].log()  # the scores but for a constant
    noisy = (scores - torch.empty(1, 3, S).exponential_().log()) / 0.5
    (score,) = torch.autograd.grad((noisy.softmax(-1) @ memory.states.detach() * towards).sum(), attention.score.weight)
    torch.testing.assert_close(attention.score.weight.grad, score)
