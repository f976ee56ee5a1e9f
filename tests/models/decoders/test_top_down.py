from __future__ import annotations

import pytest
import torch
from torch import nn

from multimodal_attn.models.attention import AdditiveAttention, MeanPooling
from multimodal_attn.models.decoders import TopDownDecoder
from multimodal_attn.types import BOS
from tests.contracts.parts import memory


def make(attention: type = AdditiveAttention, **settings: object) -> TopDownDecoder:
    torch.manual_seed(0)
    arguments = {"embedding_dim": 12, "hidden_dim": 16, "dropout": 0.0} | settings
    return TopDownDecoder(attention, memory_dim=20, vocab_size=11, **arguments).eval()  # type: ignore[arg-type]


def test_the_word_is_read_before_the_model_looks() -> None:
    model, source = make(), memory(batch=1)
    prepared = model.prepare(source)
    _, _, attended = model.step(torch.tensor([[5, 6]]), model.start(prepared, 2), prepared)
    assert not torch.allclose(attended.weights[0, 0], attended.weights[0, 1])


def test_two_steps_equal_lstm_cells() -> None:
    """Against torch's own cells, with the mean as attention."""
    model, source = make(MeanPooling), memory(batch=1, positions=5)
    hidden, dim = 16, 20
    order = torch.cat([torch.arange(32), torch.arange(48, 64), torch.arange(32, 48)])  # torch's gates: i, f, g, o
    first, second = nn.LSTMCell(hidden + dim + 12, hidden), nn.LSTMCell(dim + hidden, hidden)
    with torch.no_grad():
        from_language, from_itself = model.attention_gates.weight.split(hidden, dim=1)
        first.weight_ih.copy_(
            torch.cat([from_language, model.mean_gates.weight, model.embedding_gates.weight], dim=1)[order]
        )
        first.weight_hh.copy_(from_itself[order])
        first.bias_ih.copy_(model.embedding_gates.bias[order])
        second.weight_ih.copy_(model.language_gates.weight[order, : dim + hidden])
        second.weight_hh.copy_(model.language_gates.weight[order, dim + hidden :])
        second.bias_ih.copy_(model.language_gates.bias[order])
        for cell in (first, second):
            cell.bias_hh.zero_()
        mean = source.states.mean(1)
        states = [(torch.zeros(1, hidden), torch.zeros(1, hidden)) for _ in range(2)]
        prepared = model.prepare(source)
        state = model.start(prepared, 1)
        for token in (BOS, 7):
            word = model.embedding(torch.tensor([token]))
            states[0] = first(torch.cat([states[1][0], mean, word], dim=1), states[0])
            states[1] = second(torch.cat([mean, states[0][0]], dim=1), states[1])
            logits, state, _ = model.step(torch.tensor([[token]]), state, prepared)
            torch.testing.assert_close(logits[:, 0], model.vocabulary(states[1][0]))


def test_attention_on_attention_can_refuse_the_context() -> None:
    model, source = make(attention_on_attention=True), memory(batch=1)
    assert model.information is not None
    with torch.no_grad():
        model.information.bias[20:] = -100.0
    prepared = model.prepare(source)
    _, _, attended = model.step(torch.tensor([[5]]), model.start(prepared, 1), prepared)
    assert attended.context.abs().max().item() == pytest.approx(0, abs=1e-20)
    torch.testing.assert_close(attended.weights.sum(-1), torch.ones(1, 1, 1))


def test_the_second_look_is_the_map_of_a_word_and_reaches_the_next() -> None:
    model, source = make(second_look=True), memory(batch=2)
    tokens = torch.tensor([[[BOS, 5, 7, 2], [BOS, 6, 7, 2]], [[BOS, 7, 7, 2], [BOS, 5, 2, 0]]])
    output = model(tokens, tokens > 0, source)
    maps = model.second_look(tokens[..., 1:], source)
    assert maps is not None
    torch.testing.assert_close(output.weights, maps.masked_fill(~output.mask[..., None, None], 0.0))
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    assert (maps.masked_select(~source.mask[:, None, None, None].expand_as(maps)) == 0).all()
    torch.testing.assert_close(output.weights[0, 0, 1], output.weights[0, 1, 1])  # one word, one photo: one map
    # The step that every search takes predicts the same.
    prepared = model.prepare(source)
    state, logits = model.start(prepared, 2), []
    for step in range(3):
        made, state, _ = model.step(tokens[..., step], state, prepared)
        logits.append(made)
    torch.testing.assert_close(torch.stack(logits, 2)[output.mask], output.logits)
    # What it finds is read: another memory below the word changes what follows.
    assert model.looked_up is not None
    with torch.no_grad():
        model.looked_up.weight.mul_(-3)
    assert not torch.allclose(model(tokens, tokens > 0, source).logits, output.logits)
    assert make().second_look(tokens, source) is None
