"""The fast loop against its definition, the plain loop: values and gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from multimodal_attn.models import kernels
from multimodal_attn.models.attention.additive import AdditiveAttention
from multimodal_attn.models.attention.forward_attention import ForwardAttention
from multimodal_attn.models.attention.location import LocationAttention
from multimodal_attn.models.decoders.recurrent import RecurrentDecoder
from multimodal_attn.types import BOS, DecoderOutput, Memory, Timeline

ATTENTION = {
    "additive": partial(AdditiveAttention, attention_dim=5),
    "forward_attention": partial(ForwardAttention, attention_dim=5, reach=2),
    "forward_attention_without_agent": partial(ForwardAttention, attention_dim=5, reach=3, agent=False),
    "location": partial(LocationAttention, attention_dim=5, num_filters=3, kernel_size=5),
}
STYLES: dict[str, dict[str, Any]] = {
    "show_attend_tell": {"attend": "before", "initial_state": "mean", "gate": True, "deep_output": True},
    "listen_attend_spell": {"attend": "after", "initial_state": "zeros", "gate": False, "deep_output": False},
}


def make(attention: str, style: str, **changes: Any) -> RecurrentDecoder:
    arguments = {"memory_dim": 6, "vocab_size": 9, "embedding_dim": 4, "hidden_dim": 7, "dropout": 0.0}
    return RecurrentDecoder(ATTENTION[attention], **{**arguments, **STYLES[style], **changes}).double()


def inputs(rows: int, positions: int, seed: int) -> tuple[Tensor, Tensor, Memory]:
    """Random texts and memories of unequal length."""
    torch.manual_seed(seed)
    lengths = torch.randint(1, 6, (9, rows))  # nine: sources leave the loop in fours
    lengths[0, 0] = 7  # one row that is longer than all others
    mask = torch.arange(9) < (lengths + 1)[..., None]  # the last columns belong to nobody
    tokens = torch.randint(4, 9, mask.shape) * mask
    tokens[..., 0] = BOS
    sizes = torch.randint(1, positions + 1, (9,))
    memory = Memory(
        torch.randn(9, positions, 6, dtype=torch.double, requires_grad=True),
        torch.arange(positions) < sizes[:, None],
        Timeline(0.04, 0.0),
    )
    return tokens, mask, memory


def objective(output: DecoderOutput) -> Tensor:
    """Depends on the logits and, as regularisers do, on the weights."""
    torch.manual_seed(7)
    logits, weights = output.logits.double(), output.weights.double()
    return (logits * torch.randn_like(logits)).sum() + (weights * torch.randn_like(weights)).sum()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize(("rows", "positions"), [(1, 8), (3, 2), (2, 11)])
def test_equals_the_plain_loop(attention: str, style: str, rows: int, positions: int) -> None:
    torch.manual_seed(positions)
    decoder = make(attention, style)
    results = []
    for fast in (True, False):
        tokens, mask, memory = inputs(rows, positions, seed=rows)
        decoder.zero_grad()
        with kernels.use(fast):
            output = decoder(tokens, mask, memory)
        objective(output).backward()
        gradients = {name: p.grad for name, p in decoder.named_parameters()} | {"memory": memory.states.grad}
        results.append((output, gradients))
    (output, gradients), (expected, expected_gradients) = results
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.weights, expected.weights)
    for name, gradient in expected_gradients.items():
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(gradients[name], gradient, msg=lambda text, name=name: f"{name}: {text}")


def test_a_memory_that_wants_no_gradient_changes_no_other() -> None:
    decoder = make("additive", "show_attend_tell")
    gradients = []
    for wanted in (True, False):
        tokens, mask, memory = inputs(2, 8, seed=0)
        memory.states.requires_grad_(wanted)
        decoder.zero_grad()
        objective(decoder(tokens, mask, memory)).backward()
        assert (memory.states.grad is not None) == wanted
        gradients.append([parameter.grad for parameter in decoder.parameters()])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("attention", ["location", "forward_attention"])
def test_bfloat16_stays_near_the_plain_loop(attention: str) -> None:
    torch.manual_seed(0)
    decoder = make(attention, "show_attend_tell").float()
    tokens, mask, memory = inputs(2, 11, seed=0)
    memory = Memory(memory.states.detach().float().requires_grad_(), memory.mask, memory.layout)
    gradients = []
    for fast in (True, False):
        memory.states.grad = None
        with kernels.use(fast), torch.autocast("cpu", torch.bfloat16):
            output = decoder(tokens, mask, memory)
        objective(output).backward()
        assert memory.states.grad is not None
        gradients.append(memory.states.grad)
    assert (gradients[0] - gradients[1]).norm() < 0.05 * gradients[1].norm()


@pytest.mark.parametrize(
    ("attention", "changes"),
    [
        ({}, {"num_layers": 2}),
        ({"normalizer": "sparsemax"}, {}),
        ({"temperature": 2.0}, {}),
        ({"dropout": 0.1}, {}),
    ],
)
def test_what_it_does_not_cover_takes_the_plain_loop(
    attention: dict[str, Any], changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecurrentDecoder, "_fast_loop", lambda *_: pytest.fail("the fast loop ran"))
    tokens, mask, memory = inputs(1, 8, seed=0)
    decoder = RecurrentDecoder(partial(AdditiveAttention, **attention), memory_dim=6, vocab_size=9, **changes)
    assert decoder.double()(tokens, mask, memory).logits.isfinite().all()


class Doubled(AdditiveAttention):
    """Another mechanism, which says nothing of a fast form."""

    def forward(self, query: Tensor, *others: Any) -> Any:
        return super().forward(2 * query, *others)


def test_a_subclass_does_not_inherit_the_offer_of_a_form_that_does_not_know_it() -> None:
    assert kernels.offered(AdditiveAttention(6, 6).loop_attention) is not None
    assert kernels.offered(Doubled(6, 6).loop_attention) is None
    with kernels.use(False):
        assert kernels.offered(AdditiveAttention(6, 6).loop_attention) is None
