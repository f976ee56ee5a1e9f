from __future__ import annotations

import torch

from multimodal_attn.models.attention import AdditiveAttention
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.search import GreedySearch
from multimodal_attn.search.training_samples import sample
from multimodal_attn.types import BOS, EOS, PAD, UNK
from tests.contracts.parts import memory
from tests.search.scripted import model_of

VOCAB = 11


def make() -> RecurrentDecoder:
    torch.manual_seed(1)
    made = RecurrentDecoder(AdditiveAttention, memory_dim=20, vocab_size=VOCAB, embedding_dim=12, hidden_dim=24)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)
    return made.eval()


def test_tokens_follow_the_distribution() -> None:
    model, source = make(), memory(batch=1)
    samples = sample(model_of(model), source, 20_000, max_length=1)
    prepared = model.prepare(source)
    logits, _, _ = model.step(torch.tensor([[BOS]]), model.start(prepared, 1), prepared)
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    shares = torch.bincount(samples.tokens[0, :, 1], minlength=VOCAB) / 20_000
    torch.testing.assert_close(shares, logits[0, 0].softmax(-1), atol=0.015, rtol=0)


def test_samples_are_what_forward_takes() -> None:
    samples = sample(model_of(make()), memory(), 6, max_length=12)
    assert (samples.tokens[~samples.mask] == PAD).all()
    assert not torch.isin(samples.tokens[..., 1:][samples.mask[..., 1:]], torch.tensor([PAD, BOS, UNK])).any()
    # A text ends once, with <eos>, or is cut off.
    ends = (samples.tokens == EOS).sum(-1)
    lengths = samples.mask.sum(-1) - 1
    assert ((ends == 1) | ((ends == 0) & (lengths == 12))).all()


def test_greedy_row_is_greedy_search() -> None:
    model, source = make(), memory()
    samples = sample(model_of(model), source, 3, max_length=12, greedy_row=True)
    assert samples.tokens.shape[1] == 4
    for row, (best,) in zip(samples.tokens[:, 0], GreedySearch(12)(model_of(model), source), strict=True):
        assert row[(row != PAD) & (row != BOS) & (row != EOS)].tolist() == best.tokens
