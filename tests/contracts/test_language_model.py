"""What every language model of conf/language_model keeps."""

from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.types import PAD
from tests.contracts.parts import choices, part

VOCAB = 11


def make(name: str, **settings: object) -> LanguageModel:
    torch.manual_seed(0)
    model: LanguageModel = part("language_model", name, **settings)(vocab_size=VOCAB)
    with torch.no_grad():  # a bias for distances begins with zeros
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def tokens(rows: int = 6, length: int = 7) -> torch.Tensor:
    return torch.randint(1, VOCAB, (rows, length))


POSITIONS = [("transformer", {"positions": positions, "num_heads": 2}) for positions in ("rotary", "relative")]


@pytest.mark.parametrize(("name", "settings"), [(name, {}) for name in choices("language_model")] + POSITIONS)
def test_forward_equals_steps_of_reordered_rows(name: str, settings: dict[str, object]) -> None:
    model, texts = make(name, **settings), tokens()
    expected = model(texts)
    by_row = texts.view(2, 3, -1)  # two sources with three rows each
    state = model.start(2, 3)
    index = torch.tensor([[2, 0, 1], [1, 1, 0]])
    for t in range(3):
        logits, state = model.step(by_row[..., t], state)
        torch.testing.assert_close(logits, expected.view(2, 3, 7, VOCAB)[:, :, t])
    state = state.select(index)
    moved = by_row[torch.arange(2)[:, None], index]
    moved_expected = expected.view(2, 3, 7, VOCAB)[torch.arange(2)[:, None], index]
    for t in range(3, 7):
        logits, state = model.step(moved[..., t], state)
        torch.testing.assert_close(logits, moved_expected[:, :, t])


@pytest.mark.parametrize("name", choices("language_model"))
def test_later_tokens_and_other_rows_change_nothing(name: str) -> None:
    model, texts = make(name), tokens()
    changed = texts.clone()
    changed[:, 4:] = PAD
    changed[0] = 5
    torch.testing.assert_close(model(changed)[1:, :4], model(texts)[1:, :4])
    assert not torch.allclose(model(changed)[1:, 5], model(texts)[1:, 5])


@torch.no_grad()
@pytest.mark.parametrize("name", choices("language_model"))
def test_weights_of_layers_are_of_tokens_up_to_oneself(name: str) -> None:
    model, texts = make(name), tokens()
    layers = model.layer_weights(texts)
    assert bool(layers) == (name == "transformer")
    for weights in layers:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        assert weights.triu(1).abs().sum() == 0
        torch.testing.assert_close(model.layer_weights(texts[:, :4])[0], layers[0][..., :4, :4])


@pytest.mark.parametrize("name", choices("language_model"))
def test_gradient_reaches_every_parameter(name: str) -> None:
    model, texts = make(name), tokens()
    torch.nn.functional.cross_entropy(model(texts[:, :-1]).flatten(0, 1), texts[:, 1:].flatten()).backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]


@pytest.mark.parametrize("name", choices("language_model"))
def test_state_dict_round_trip(name: str) -> None:
    first, second, texts = make(name), make(name), tokens()
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(0.1)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(texts), first(texts))
