from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.attention import AdditiveAttention
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.search import GreedySearch, SampleSearch
from multimodal_attn.types import BOS, EOS, PAD, UNK, Hypothesis
from tests.contracts.parts import memory

VOCAB = 11


def make() -> RecurrentDecoder:
    torch.manual_seed(1)
    made = RecurrentDecoder(AdditiveAttention, memory_dim=20, vocab_size=VOCAB, embedding_dim=12, hidden_dim=24)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)
    return made.eval()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_tokens_follow_the_distribution(temperature: float) -> None:
    model, source = make(), memory(batch=1)
    drawn = SampleSearch(20_000, temperature, max_length=1).draw(model, source)
    prepared = model.prepare(source)
    logits, _, _ = model.step(torch.tensor([[BOS]]), model.start(prepared, 1), prepared)
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    shares = torch.bincount(drawn.tokens[0, :, 1], minlength=VOCAB) / 20_000
    torch.testing.assert_close(shares, (logits[0, 0] / temperature).softmax(-1), atol=0.015, rtol=0)
    # What is reported is the model's own probability, whatever the temperature.
    expected = logits[0, 0].log_softmax(-1)[drawn.tokens[0, :, 1]]
    torch.testing.assert_close(drawn.log_probs[0, :, 0], expected)


def test_drawn_texts_are_what_forward_takes() -> None:
    model, source = make(), memory()
    drawn = SampleSearch(6, max_length=12).draw(model, source)
    assert (drawn.tokens[~drawn.mask] == PAD).all()
    assert not torch.isin(drawn.tokens[..., 1:][drawn.mask[..., 1:]], torch.tensor([PAD, BOS, UNK])).any()
    output = model(drawn.tokens, drawn.mask, source)
    output.logits[:, [PAD, BOS, UNK]] = -torch.inf
    expected = output.logits.log_softmax(-1).gather(-1, output.labels[:, None])[:, 0]
    torch.testing.assert_close(drawn.log_probs[output.mask], expected, rtol=1e-4, atol=1e-5)
    assert (drawn.log_probs[~output.mask] == 0).all()
    torch.testing.assert_close(drawn.weights, output.weights)


def test_greedy_row_is_greedy_search() -> None:
    model, source = make(), memory()
    drawn = SampleSearch(3, max_length=12).draw(model, source, greedy_row=True)
    assert drawn.tokens.shape[1] == 4
    for row, (best,) in zip(drawn.tokens[:, 0], GreedySearch(12)(model, source), strict=True):
        assert row[(row != PAD) & (row != BOS) & (row != EOS)].tolist() == best.tokens


def test_hypotheses_of_a_source_come_best_first_and_end_or_are_marked() -> None:
    model, source = make(), memory()
    found: list[Hypothesis] = []
    for row in SampleSearch(8, max_length=6)(model, source):
        assert [h.score for h in row] == sorted((h.score for h in row), reverse=True)
        found += row
    assert len(found) == 32
    for hypothesis in found:
        length = len(hypothesis.tokens)
        assert EOS not in hypothesis.tokens
        assert hypothesis.hit_max_length == (length == 6)
        assert len(hypothesis.log_probs) == len(hypothesis.weights) == length
    assert {h.hit_max_length for h in found} == {True, False}


def test_limit_follows_the_memory() -> None:
    drawn = SampleSearch(20, max_length=50, max_length_ratio=0.5).draw(make(), memory())
    assert (drawn.mask.sum(-1).amax(1) - 1 <= torch.tensor([5, 4, 4, 3])).all()


def test_values_out_of_range_name_their_key() -> None:
    with pytest.raises(ValueError, match=r"search.num_samples: 0"):
        SampleSearch(0)
    with pytest.raises(ValueError, match=r"search.temperature: 0"):
        SampleSearch(5, 0.0)
