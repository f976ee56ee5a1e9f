from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.decoders.prefix_transformer import PrefixTransformer
from multimodal_attn.types import BOS, Memory
from tests.contracts.parts import memory, texts


def make(**settings: object) -> PrefixTransformer:
    torch.manual_seed(0)
    arguments = {"hidden_dim": 24, "num_layers": 2, "dropout": 0.0} | settings
    return PrefixTransformer(memory_dim=20, vocab_size=11, **arguments).eval()  # type: ignore[arg-type]


def test_the_memory_is_mixed_before_it_is_read() -> None:
    """In the last layer a token reads positions that have read each other."""
    model, source = make(), memory(batch=1)
    other = Memory(source.states.clone(), source.mask, source.layout)
    other.states[0, 0] += 1.0
    first, last = zip(model.prepare(source).projected, model.prepare(other).projected, strict=True)
    changed_first, changed_last = ((a - b).abs().sum(-1)[0] > 1e-6 for a, b in (first, last))
    assert changed_first.tolist() == [True] + [False] * 8
    assert changed_last.all()


def test_the_gate_is_the_share_that_goes_to_the_source() -> None:
    model, source = make(), memory(batch=2)
    prepared = model.prepare(source)
    state = model.start(prepared, 1)
    shares = []
    for token in (BOS, 5, 6, 7, 8):
        _, state, attended = model.step(torch.full((2, 1), token), state, prepared)
        torch.testing.assert_close(attended.weights.sum(-1), torch.ones(2, 1, 4))
        shares.append(attended.gate.mean().item())
    assert 0.8 < shares[0] < 1  # nine positions beside a single token
    assert shares == sorted(shares, reverse=True)  # of untrained weights: the more tokens, the less


def test_a_step_reads_what_was_kept_and_the_prefix_is_read_once() -> None:
    model, source = make(), memory(batch=1)
    prepared = model.prepare(source)
    state, reads = model.start(prepared, 2), []
    model.read.register_forward_hook(lambda *_: reads.append(1))
    for number in range(4):
        _, state, _ = model.step(torch.full((1, 2), 5), state, prepared)
        assert [tuple(kept.shape) for kept in state.tensors] == [(1, 2, number + 1, 48)] * 2
    assert not reads


def test_reported_layer_is_chosen() -> None:
    source, (tokens, mask) = memory(), texts()
    first, second, last = (make(reported_layer=layer)(tokens, mask, source).weights for layer in (0, 1, -1))
    torch.testing.assert_close(last, second)
    assert not torch.allclose(first, second)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"decoder.hidden_dim: 25; expected an even multiple"):
        make(hidden_dim=25)
    with pytest.raises(ValueError, match=r"decoder.hidden_dim: 20; expected a multiple of 2 \* decoder.num_heads=8"):
        make(hidden_dim=20, positions="rotary")
    with pytest.raises(ValueError, match=r"decoder.reported_layer: 2; expected 0 to 1"):
        make(reported_layer=2)
    source = memory()
    with pytest.raises(ValueError, match=r"prefix_transformer reads one memory as keys and as values"):
        make().prepare(Memory(source.states, source.mask, source.layout, keys=source.states))
