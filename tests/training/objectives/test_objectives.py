from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from multimodal_attn.training.objectives.coverage import Coverage
from multimodal_attn.training.objectives.cross_entropy import CrossEntropy
from multimodal_attn.training.objectives.ctc import CTC
from multimodal_attn.training.objectives.doubly_stochastic import DoublyStochastic
from multimodal_attn.training.objectives.entropy import Entropy
from multimodal_attn.training.objectives.guided_attention import GuidedAttention
from multimodal_attn.types import BOS, EOS, PAD, Batch, DecoderOutput, Grid, Memory, Timeline


def batch(tokens: torch.Tensor) -> Batch:
    return Batch(
        ["x"] * len(tokens), torch.zeros(len(tokens), 4), torch.full((len(tokens),), 4), tokens, tokens != PAD, []
    )


def output(weights: torch.Tensor, mask: torch.Tensor) -> DecoderOutput:
    return DecoderOutput(torch.zeros(int(mask.sum()), 5), torch.zeros(int(mask.sum())).long(), weights, mask)


def memory(mask: torch.Tensor) -> Memory:
    return Memory(torch.zeros(*mask.shape, 3), mask, Timeline(0.04))


def test_cross_entropy_of_uniform_logits() -> None:
    result = output(torch.zeros(1, 1, 2, 1, 3), torch.ones(1, 1, 2, dtype=torch.bool))
    loss = CrossEntropy().eval()(None, None, None, result)
    assert float(loss) == pytest.approx(math.log(5))


def test_label_smoothing_only_in_training() -> None:
    result = output(torch.zeros(1, 1, 2, 1, 3), torch.ones(1, 1, 2, dtype=torch.bool))
    result.logits[:, 0] = 4.0
    objective = CrossEntropy(label_smoothing=0.2)
    plain = float(objective.eval()(None, None, None, result))
    assert plain == pytest.approx(math.log(1 + 4 * math.exp(-4)), rel=1e-4)
    assert float(objective.train()(None, None, None, result)) > plain + 0.5


def test_doubly_stochastic_by_hand() -> None:
    # One text of two words over three positions, the last of which is padding.
    weights = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])[:, None, :, None]
    mask = torch.ones(1, 1, 2, dtype=torch.bool)
    real = torch.tensor([[True, True, False]])
    result = output(weights, mask)
    # Received: 1.5 and 0.5. Target T / S = 2 / 2 = 1; the paper's target is 1 as well here.
    assert float(DoublyStochastic(target="share")(None, None, memory(real), result)) == pytest.approx(0.25)
    three = memory(torch.tensor([[True, True, True]]))
    # Received: 1.5, 0.5, 0. Target 2 / 3, or 1.
    expected = ((2 / 3 - 1.5) ** 2 + (2 / 3 - 0.5) ** 2 + (2 / 3) ** 2) / 3
    assert float(DoublyStochastic(target="share")(None, None, three, result)) == pytest.approx(expected)
    assert float(DoublyStochastic(target="one")(None, None, three, result)) == pytest.approx((0.25 + 0.25 + 1) / 3)


def test_doubly_stochastic_ignores_rows_without_text() -> None:
    weights = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])[:, None, :, None]
    one = output(weights, torch.ones(1, 1, 2, dtype=torch.bool))
    both = output(weights.repeat(1, 2, 1, 1, 1), torch.ones(1, 2, 2, dtype=torch.bool))
    both.weights[:, 1], both.mask[:, 1] = 0.0, False
    real = memory(torch.ones(1, 2, dtype=torch.bool))
    objective = DoublyStochastic()
    assert float(objective(None, None, real, both)) == pytest.approx(float(objective(None, None, real, one)))


def padded(result: DecoderOutput, source: Memory) -> tuple[DecoderOutput, Memory]:
    """The same with a longer batch mate's padding: a row without text, and steps and positions that are not real."""
    _, _, steps, _, positions = result.weights.shape
    weights = torch.zeros(1, 2, steps + 2, 1, positions + 3)
    weights[:, :1, :steps, :, :positions] = result.weights
    mask = torch.zeros(1, 2, steps + 2, dtype=torch.bool)
    mask[:, :1, :steps] = result.mask
    real = torch.zeros(1, positions + 3, dtype=torch.bool)
    real[:, :positions] = source.mask
    return output(weights, mask), memory(real)


def heads(result: DecoderOutput) -> DecoderOutput:
    return output(result.weights.repeat(1, 1, 1, 3, 1), result.mask)


# Two steps over two positions: the first attends to the first, the second evenly to both.
STEPS = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])[:, None, :, None]
BOTH = torch.ones(1, 1, 2, dtype=torch.bool)
# Off the diagonal by half a text: 1 - exp(-0.25 / (2 * 0.25)). One weight of 0.5 in four cells.
GUIDED = 0.5 * (1 - math.exp(-0.5)) / 4


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (GuidedAttention(sigma=0.5), GUIDED),
        (Entropy(), 0.5),  # of 0 and 1
        (Coverage(), 0.25),  # the second step repeats 0.5 of the first
    ],
)
def test_regularizers_by_hand(objective: nn.Module, expected: float) -> None:
    result, source = output(STEPS, BOTH), memory(torch.ones(1, 2, dtype=torch.bool))
    assert float(objective(None, None, source, result)) == pytest.approx(expected, abs=1e-6)
    assert float(objective(None, None, source, heads(result))) == pytest.approx(expected, abs=1e-6)
    longer, longer_source = padded(result, source)
    assert float(objective(None, None, longer_source, longer)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("objective", [GuidedAttention(), Entropy(), Coverage()])
def test_gradient_of_regularizers_is_finite_at_exact_zeros(objective: nn.Module) -> None:
    weights = STEPS.clone().requires_grad_()
    objective(None, None, memory(torch.ones(1, 2, dtype=torch.bool)), output(weights, BOTH)).backward()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()
    assert weights.grad.abs().sum() > 0


def test_one_position_has_no_entropy() -> None:
    result = output(torch.ones(1, 1, 2, 1, 1), BOTH)
    assert float(Entropy()(None, None, memory(torch.ones(1, 1, dtype=torch.bool)), result)) == 0


def test_coverage_counts_all_earlier_steps() -> None:
    weights = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])[None, None, :, None]
    result = output(weights, torch.ones(1, 1, 3, dtype=torch.bool))
    source = memory(torch.ones(1, 3, dtype=torch.bool))
    assert float(Coverage()(None, None, source, result)) == pytest.approx((0 + 0.5 + 1) / 3)


def test_pictures_have_no_diagonal() -> None:
    source = memory(torch.ones(1, 2, dtype=torch.bool))
    source.layout = Grid(1, 2)
    with pytest.raises(ValueError, match="guided_attention needs a source in the order of its text"):
        GuidedAttention()(None, None, source, output(STEPS, BOTH))


class Head(nn.Module):
    """Stands for a model whose CTC head says what it is told."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def ctc_logits(self, _: Memory) -> torch.Tensor:
        return self.logits


def test_ctc_of_uniform_logits() -> None:
    # Text "4" over two positions: paths "4 4", "4 -", "- 4" out of 5 x 5.
    tokens = torch.tensor([[[BOS, 4, EOS]]])
    loss = CTC()(Head(torch.zeros(1, 2, 5)), batch(tokens), memory(torch.ones(1, 2, dtype=torch.bool)), None)
    assert float(loss) == pytest.approx(-math.log(3 / 25), rel=1e-5)


def test_ctc_text_that_does_not_fit_adds_nothing() -> None:
    tokens = torch.tensor([[[BOS, 4, 4, 4, EOS]]])
    loss = CTC()(Head(torch.zeros(1, 2, 5)), batch(tokens), memory(torch.ones(1, 2, dtype=torch.bool)), None)
    assert float(loss) == 0
