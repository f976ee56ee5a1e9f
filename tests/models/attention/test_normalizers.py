from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.attention.normalizers import Normalizer

NAMES = ["softmax", "sparsemax", "entmax15", "sigmoid"]


def weigh(name: str, scores: list[float], mask: list[bool] | None = None, temperature: float = 1.0) -> torch.Tensor:
    real = torch.ones(len(scores), dtype=torch.bool) if mask is None else torch.tensor(mask)
    return Normalizer(name, temperature)(torch.tensor(scores, dtype=torch.double), real)  # type: ignore[arg-type]


def expect(found: torch.Tensor, *values: float) -> None:
    torch.testing.assert_close(found, torch.tensor(values, dtype=torch.double))


def test_sparsemax_by_hand() -> None:
    # Support {1, 0.8}: threshold (1.8 - 1) / 2 = 0.4; 0.1 lies below it.
    expect(weigh("sparsemax", [0.1, 1.0, 0.8]), 0.0, 0.6, 0.4)
    expect(weigh("sparsemax", [5.0, 3.9, 0.0]), 1.0, 0.0, 0.0)
    expect(weigh("sparsemax", [2.0, 2.0, 2.0, 2.0]), 0.25, 0.25, 0.25, 0.25)


def test_entmax_by_hand() -> None:
    # Halves a and b with (a - t)^2 + (b - t)^2 = 1 and weights 0.64, 0.36: roots 0.8 and 0.6, so a - b = 0.2.
    expect(weigh("entmax15", [0.4, 0.0]), 0.64, 0.36)
    expect(weigh("entmax15", [0.4, 0.0, -1.3]), 0.64, 0.36, 0.0)  # -0.65 lies below the threshold of -0.6
    expect(weigh("entmax15", [0.0, 2.0]), 0.0, 1.0)  # a distance of 1 in halves is where the second weight ends


def test_sigmoid_smoothing_by_hand() -> None:
    # Sigmoids of log 3 and -log 3: 3/4 and 1/4; with a third of 1/2.
    log3 = torch.tensor(3.0, dtype=torch.double).log().item()
    expect(weigh("sigmoid", [log3, -log3, 0.0]), 0.5, 1 / 6, 1 / 3)
    expect(weigh("sigmoid", [-5000.0, -5000.0]), 0.5, 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_padding_gets_nothing_and_changes_nothing(name: str) -> None:
    alone = weigh(name, [0.3, -0.2, 0.5])
    padded = weigh(name, [9.0, 0.3, -0.2, 0.5, 1e30, -1e30], [False, True, True, True, False, False])
    torch.testing.assert_close(padded[1:4], alone)
    assert padded[[0, 4, 5]].tolist() == [0.0, 0.0, 0.0]
    assert weigh(name, [1.0, 2.0], [False, False]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    mask = torch.tensor([[True] * 6, [True, True, True, True, False, False]])
    scores = torch.randn(2, 6, dtype=torch.double, requires_grad=True)
    normalizer = Normalizer(name, 0.7)  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(lambda x: normalizer(x, mask), (scores,))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_long_memories_keep_their_sum(name: str, scale: float) -> None:
    scores = scale * torch.randn(2, 20_000)
    weights = Normalizer(name)(scores, torch.ones_like(scores, dtype=torch.bool))  # type: ignore[arg-type]
    torch.testing.assert_close(weights.sum(-1), torch.ones(2))


def test_bfloat16_scores_give_float32_weights() -> None:
    scores = torch.randn(2, 50).bfloat16()
    weights = Normalizer("entmax15")(scores, torch.ones(2, 50, dtype=torch.bool))
    assert weights.dtype == torch.float32


@pytest.mark.parametrize("name", ["softmax", "sparsemax", "entmax15"])
def test_temperature_divides_the_scores(name: str) -> None:
    expect(weigh(name, [0.5, 0.0, 0.25], temperature=0.5), *weigh(name, [1.0, 0.0, 0.5]).tolist())


def test_plain_is_softmax_without_temperature() -> None:
    assert Normalizer().plain
    assert not Normalizer("softmax", 0.5).plain
    assert not Normalizer("sparsemax").plain
