from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from multimodal_attn.models.decoders import TransformerDecoder
from multimodal_attn.types import BOS, EOS
from tests.contracts.parts import memory, texts


def make(**settings: object) -> TransformerDecoder:
    torch.manual_seed(0)
    arguments = {"hidden_dim": 24, "num_layers": 2, "feed_forward_dim": 32, "dropout": 0.0} | settings
    return TransformerDecoder(memory_dim=20, vocab_size=11, **arguments).eval()  # type: ignore[arg-type]


def test_later_tokens_change_nothing_before_them() -> None:
    model, source = make(), memory(batch=1)
    tokens = torch.tensor([[[BOS, 5, 6, 7, EOS], [BOS, 5, 8, 9, EOS]]])
    logits = model(tokens, torch.ones_like(tokens, dtype=torch.bool), source).logits.view(2, 4, -1)
    torch.testing.assert_close(logits[0, :2], logits[1, :2])
    assert not torch.allclose(logits[0, 2], logits[1, 2])


def test_earlier_tokens_are_remembered_and_their_order_counts() -> None:
    model, source = make(), memory(batch=1)
    tokens = torch.tensor([[[BOS, 5, 6, 7, EOS], [BOS, 6, 5, 7, EOS]]])
    logits = model(tokens, torch.ones_like(tokens, dtype=torch.bool), source).logits.view(2, 4, -1)
    assert not torch.allclose(logits[0, 3], logits[1, 3])


def test_selected_rows_take_their_cache_along() -> None:
    model, source = make(), memory(batch=2)
    prepared = model.prepare(source)
    state = model.start(prepared, 3)
    for token in (torch.full((2, 3), BOS), torch.tensor([[4, 5, 6], [7, 8, 9]])):
        _, state, _ = model.step(token, state, prepared)
    index = torch.tensor([[2, 2, 0], [1, 0, 1]])
    after, _, _ = model.step(torch.full((2, 3), 10), state.select(index), prepared)
    before, _, _ = model.step(torch.full((2, 3), 10), state, prepared)
    torch.testing.assert_close(after, torch.stack([before[0, index[0]], before[1, index[1]]]))


def test_reported_layer_is_chosen() -> None:
    source, (tokens, mask) = memory(), texts()
    first, second, last = (make(reported_layer=layer)(tokens, mask, source).weights for layer in (0, 1, -1))
    assert first.shape == (4, 3, 7, 4, 9)
    torch.testing.assert_close(last, second)
    assert not torch.allclose(first, second)


def test_weights_between_tokens_are_those_that_mix_their_values() -> None:
    layer, hidden, past = make().layers[0], torch.randn(2, 3, 5, 24), torch.randn(2, 3, 2, 4, 6, 6)
    query, cache, seen = layer._self_inputs(hidden, past)
    mixed = functional.scaled_dot_product_attention(query, cache[:, :, 0], torch.eye(11).expand(2, 3, 4, -1, -1), seen)
    torch.testing.assert_close(layer.self_weights(hidden, past), mixed)


def test_one_matrix_reads_and_writes_words() -> None:
    model = make(embedding_dim=12)
    assert model.vocabulary.weight is model.embedding.weight
    assert model.embedding.weight.shape == (11, 12)


def test_values_out_of_range_name_their_key() -> None:
    with pytest.raises(ValueError, match=r"decoder.hidden_dim: 30; expected an even multiple of decoder.num_heads"):
        make(hidden_dim=30)
    with pytest.raises(ValueError, match=r"decoder.hidden_dim: 20; expected a multiple of 2 \* decoder.num_heads=8"):
        make(hidden_dim=20, positions="rotary")
    with pytest.raises(ValueError, match=r"decoder.reported_layer: 2; expected 0 to 1"):
        make(reported_layer=2)
