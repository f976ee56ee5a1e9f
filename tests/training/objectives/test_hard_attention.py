"""REINFORCE for hard attention, against gradients by enumeration of every sequence of positions."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from multimodal_attn.models.attention import AdditiveAttention, HardAttention
from multimodal_attn.models.decoders import Decoder, RecurrentDecoder, TopDownDecoder
from multimodal_attn.training.objectives.hard_attention import HardAttention as Objective
from multimodal_attn.types import DecoderOutput
from tests.contracts.parts import memory, texts

STEPS, POSITIONS = 2, 3


def made(probabilities: Tensor, positions: tuple[int, ...], rewards: Tensor) -> DecoderOutput:
    """One text whose token t has log probability ``rewards[t, positions[0], ..., positions[t]]``."""
    log_probs = torch.stack([rewards[t, positions[0], positions[t]] for t in range(STEPS)])
    logits = torch.stack([log_probs, torch.log1p(-log_probs.exp())], dim=-1)
    mask = torch.ones(1, 1, STEPS, dtype=torch.bool)
    return DecoderOutput(
        logits,
        torch.zeros(STEPS).long(),
        probabilities[None, None, :, None],
        mask,
        torch.tensor(positions)[None, None, :, None],
    )


@pytest.mark.parametrize("reward", ["text", "rest"])
@pytest.mark.parametrize("baseline", [0.0, -3.0])
def test_gradient_is_that_of_the_expectation(reward: Any, baseline: float) -> None:
    scores = torch.randn(STEPS, POSITIONS, dtype=torch.double, requires_grad=True)
    # The second token depends on both positions, the first on its own alone.
    rewards = -torch.rand(STEPS, POSITIONS, POSITIONS, dtype=torch.double) - 0.1
    rewards[0] = rewards[0].diagonal()[:, None]
    objective = Objective(entropy_weight=0.0, reward=reward).double()
    total = torch.zeros_like(scores)
    expected = torch.zeros((), dtype=torch.double)
    for positions in product(range(POSITIONS), repeat=STEPS):
        probabilities = scores.softmax(-1)
        objective.baseline.fill_(baseline)
        loss = objective(None, None, None, made(probabilities, positions, rewards))
        chance = probabilities[range(STEPS), positions].prod()
        total += chance.detach() * torch.autograd.grad(loss, scores, retain_graph=True)[0]
        text = rewards[0, positions[0], positions[0]] + rewards[1, positions[0], positions[1]]
        expected = expected - chance * text / STEPS
    torch.testing.assert_close(total, torch.autograd.grad(expected, scores)[0], atol=1e-6, rtol=1e-5)


def test_the_baseline_is_a_moving_average_from_the_first_batch_on() -> None:
    objective = Objective(baseline_decay=0.9)
    for chance, after in ((0.5, 0.5), (0.25, 0.5**0.9 * 0.25**0.1)):
        rewards = torch.full((STEPS, POSITIONS, POSITIONS), chance).log()
        objective(None, None, None, made(torch.full((STEPS, POSITIONS), 1 / 3), (0, 1), rewards))
        assert float(objective.baseline.exp()) == pytest.approx(after, rel=1e-5)
    objective.eval()(None, None, None, made(torch.full((STEPS, POSITIONS), 1 / 3), (0, 1), 5 * rewards))
    assert float(objective.baseline.exp()) == pytest.approx(after, rel=1e-5)
    # What is not finite is skipped: one such batch must not spoil all that follow.
    objective.train()(None, None, None, made(torch.full((STEPS, POSITIONS), 1 / 3), (0, 1), rewards * torch.nan))
    assert float(objective.baseline.exp()) == pytest.approx(after, rel=1e-5)


def test_its_value_is_the_entropy_that_is_to_grow() -> None:
    rewards = -torch.ones(STEPS, POSITIONS, POSITIONS)
    probabilities = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    value = Objective(entropy_weight=0.1)(None, None, None, made(probabilities, (0, 1), rewards))
    assert float(value) == pytest.approx(-0.1 * torch.tensor(2.0).log() / 2)


def test_texts_with_the_expected_context_and_padding_give_nothing() -> None:
    scores = torch.randn(2, POSITIONS, requires_grad=True)
    logits = torch.randn(1, 4)
    mask = torch.tensor([[[True, False]]])
    for choice in (-1, 0):
        output = DecoderOutput(
            logits,
            torch.zeros(1).long(),
            scores.softmax(-1)[None, None, :, None],
            mask,
            torch.full((1, 1, 2, 1), choice),
        )
        objective = Objective(entropy_weight=0.0)
        objective.baseline.fill_(-9.0)
        (gradient,) = torch.autograd.grad(objective(None, None, None, output), scores)
        assert (gradient[0].abs().max() > 0) == (choice == 0)
        assert gradient[1].abs().max() == 0


@pytest.mark.parametrize("decoder", [RecurrentDecoder, TopDownDecoder])
def test_decoders_hand_on_what_attention_chose(decoder: type[Decoder]) -> None:
    attention = partial(HardAttention, estimator="reinforce", expected_share=0.5)
    model, source = decoder(attention, memory_dim=20, vocab_size=11), memory()  # type: ignore[call-arg]
    tokens, mask = texts()
    output = model(tokens, mask, source)
    assert output.choices is not None
    assert output.choices.shape == output.weights.shape[:-1]
    chosen = output.weights.gather(-1, output.choices.clamp(min=0)[..., None])[..., 0]
    drawn = output.mask[..., None] & (output.choices >= 0)
    assert (chosen[drawn] > 0).all()
    # A text takes the expected context in all its steps or in none.
    expected = [
        row[real].unique().tolist()
        for row, real in zip((output.choices < 0).flatten(0, 1), output.mask.flatten(0, 1), strict=True)
    ]
    assert {len(kinds) for kinds in expected} <= {0, 1}
    assert [True] in expected
    assert [False] in expected
    Objective()(None, None, None, output).backward()
    assert model.attention.score.weight.grad.abs().max() > 0  # type: ignore[union-attr]
    assert model.eval()(tokens, mask, source).choices is None


def test_other_attention_is_refused() -> None:
    model = RecurrentDecoder(partial(AdditiveAttention), memory_dim=20, vocab_size=11)
    tokens, mask = texts()
    with pytest.raises(ValueError, match="hard_attention needs attention=hard"):
        Objective()(None, None, None, model(tokens, mask, memory()))
