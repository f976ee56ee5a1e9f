"""The sentinel of Lu et al. 2017, by its equations."""

from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.decoders import AdaptiveDecoder
from multimodal_attn.types import BOS
from tests.contracts.parts import memory

H = 8


def make() -> AdaptiveDecoder:
    torch.manual_seed(0)
    return AdaptiveDecoder(memory_dim=20, vocab_size=11, embedding_dim=6, hidden_dim=H, attention_dim=7).eval()


def test_a_step_by_the_equations() -> None:
    """Against torch's own cell, from the second token on, so that no state is zero."""
    model, source = make(), memory(batch=1, positions=5)
    order = torch.cat(
        [torch.arange(2 * H), torch.arange(3 * H, 4 * H), torch.arange(2 * H, 3 * H)]
    )  # torch's: i, f, g, o
    cell = torch.nn.LSTMCell(12, H)
    prepared = model.prepare(source)
    state = model.start(prepared, 1)
    with torch.no_grad():
        weights = torch.cat([model.embedding_gates.weight, model.mean_gates.weight], dim=1)
        cell.weight_ih.copy_(weights[: 4 * H][order])
        cell.weight_hh.copy_(model.recurrent_gates.weight[: 4 * H][order])
        cell.bias_ih.copy_(model.embedding_gates.bias[: 4 * H][order])
        cell.bias_hh.zero_()
        hidden, c = torch.zeros(1, H), torch.zeros(1, H)
        states = source.states[0].matmul(model.memory[0].weight.T).add(model.memory[0].bias).relu()  # (S, H)
        for token in (BOS, 7):
            x = torch.cat([model.embedding(torch.tensor([token])), model.mean(source.states.mean(1))], dim=1)
            gate = (
                x @ weights[4 * H :].T
                + model.embedding_gates.bias[4 * H :]
                + hidden @ model.recurrent_gates.weight[4 * H :].T
            )
            hidden, c = cell(x, (hidden, c))
            sentinel = gate.sigmoid() * c.tanh()
            query = model.query(hidden)
            scores = model.score((model.key(states) + query).tanh())[:, 0]
            sentinel_score = model.score((model.sentinel_key(sentinel) + query).tanh())[0]
            beta = torch.cat([scores, sentinel_score]).softmax(0)[-1]
            context = beta * sentinel + (1 - beta) * scores.softmax(0) @ states
            logits, state, attended = model.step(torch.tensor([[token]]), state, prepared)
            torch.testing.assert_close(attended.weights[0, 0, 0], scores.softmax(0))
            torch.testing.assert_close(attended.gate[0, 0], 1 - beta)
            torch.testing.assert_close(logits[0], model.vocabulary(hidden + context))


def test_a_word_of_the_sentinel_does_not_see_the_source() -> None:
    model = make()
    with torch.no_grad():
        # The sentinel's score is as high, the positions' as low as it goes, whatever the query.
        model.query.weight.zero_()
        model.sentinel_key.weight.zero_()
        model.key.weight.zero_()
        model.score.weight.fill_(50.0)
        model.sentinel_key.bias.fill_(9.0)
        model.key.bias.fill_(-9.0)
        model.mean[0].weight.zero_()  # what it knows of the whole source
    logits = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        prepared = model.prepare(memory(batch=1))
        found, _, attended = model.step(torch.tensor([[5]]), model.start(prepared, 1), prepared)
        assert attended.gate.item() == pytest.approx(0)
        torch.testing.assert_close(attended.weights.sum(-1), torch.ones(1, 1, 1))
        logits.append(found)
    torch.testing.assert_close(*logits)
