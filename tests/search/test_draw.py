from __future__ import annotations

import torch

from multimodal_attn.models.attention import AdditiveAttention
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.search import GreedySearch
from multimodal_attn.search.draw import draw
from multimodal_attn.types import BOS, EOS, PAD, UNK
from tests.contracts.parts import memory

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
    drawn = draw(model, source, 20_000, max_length=1)
    prepared = model.prepare(source)
    logits, _, _ = model.step(torch.tensor([[BOS]]), model.start(prepared, 1), prepared)
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    shares = torch.bincount(drawn.tokens[0, :, 1], minlength=VOCAB) / 20_000
    torch.testing.assert_close(shares, logits[0, 0].softmax(-1), atol=0.015, rtol=0)


def test_drawn_texts_are_what_forward_takes() -> None:
    drawn = draw(make(), memory(), 6, max_length=12)
    assert (drawn.tokens[~drawn.mask] == PAD).all()
    assert not torch.isin(drawn.tokens[..., 1:][drawn.mask[..., 1:]], torch.tensor([PAD, BOS, UNK])).any()
    # A text ends once, with <eos>, or is cut off.
    ends = (drawn.tokens == EOS).sum(-1)
    lengths = drawn.mask.sum(-1) - 1
    assert ((ends == 1) | ((ends == 0) & (lengths == 12))).all()


def test_greedy_row_is_greedy_search() -> None:
    model, source = make(), memory()
    drawn = draw(model, source, 3, max_length=12, greedy_row=True)
    assert drawn.tokens.shape[1] == 4
    for row, (best,) in zip(drawn.tokens[:, 0], GreedySearch(12)(model, source), strict=True):
        assert row[(row != PAD) & (row != BOS) & (row != EOS)].tolist() == best.tokens
