"""One switch turns every fast form off, and nothing but the time that things take changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from multimodal_attn.models import kernels
from tests.contracts.parts import choices, encoder_of, memory, part, sources, texts
from tests.contracts.test_decoder import PAIRS, VOCAB, make


def both(compute: Callable[[], list[Tensor]]) -> None:
    """Computes with and without fast forms, from the same random state."""
    results = []
    for fast in (True, False):
        torch.manual_seed(5)
        with kernels.use(fast):
            results.append(compute())
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("decoder", "attention"), PAIRS)
def test_decoders(decoder: str, attention: str) -> None:
    model, source = make(decoder, attention).train(), memory()  # without dropout
    tokens, mask = texts(vocab_size=VOCAB)
    source.states.requires_grad_()

    def forward() -> list[Tensor]:
        output = model(tokens, mask, source)
        loss = torch.nn.functional.cross_entropy(output.logits, output.labels) + output.weights.square().sum()
        return [output.logits, output.weights, *torch.autograd.grad(loss, [source.states, *model.parameters()])]

    both(forward)


@torch.no_grad()
@pytest.mark.parametrize(("decoder", "attention"), PAIRS)
def test_steps_of_a_search(decoder: str, attention: str) -> None:
    model, source = make(decoder, attention), memory()
    tokens, _ = texts(vocab_size=VOCAB)

    def steps() -> list[Tensor]:
        prepared = model.prepare(source)
        state, found = model.start(prepared, tokens.shape[1]), []
        for t in range(4):
            logits, state, attended = model.step(tokens[..., t], state, prepared)
            found += [logits, attended.weights, attended.context]
        return found

    both(steps)


@pytest.mark.parametrize("name", choices("encoder"))
def test_encoders(name: str) -> None:
    encoder = encoder_of(name)
    encoder.eval()
    source, lengths = sources(encoder, 5)
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]

    def forward() -> list[Tensor]:
        found = encoder(source, lengths)
        states = found.states * found.mask[..., None]
        return [states, *torch.autograd.grad(states.square().mean(), trained)]

    both(forward)


@pytest.mark.parametrize("name", choices("language_model"))
def test_language_models(name: str) -> None:
    model = part("language_model", name)(vocab_size=VOCAB)
    tokens = torch.randint(1, VOCAB, (6, 7))
    both(lambda: [model.eval()(tokens)])
