"""Copying by the equations of See et al. 2017."""

from __future__ import annotations

import math

import pytest
import torch

from multimodal_attn.data.tokenizers.copying_word import CopyingWordTokenizer
from multimodal_attn.models.language_models.recurrent import RecurrentLanguageModel
from multimodal_attn.search import BeamSearch, GreedySearch, Search
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.rules.forbidden import Forbidden
from multimodal_attn.search.rules.forced_words import ForcedWords
from multimodal_attn.search.rules.min_length import MinLength
from multimodal_attn.search.rules.no_repeat_ngram import NoRepeatNgram
from multimodal_attn.search.rules.prefix import Prefix
from multimodal_attn.search.scorers.language_model import LanguageModelScorer
from multimodal_attn.types import BOS, EOS, PAD, UNK
from tests.contracts.parts import COPIES, NUM_EXTRA, decoder_of, memory
from tests.search.scripted import model_of

VOCAB = 11


def make(attention: str = "additive", decoder: str = "pointer_generator"):
    torch.manual_seed(0)
    return decoder_of(decoder, attention, VOCAB).eval()


@torch.no_grad()
@pytest.mark.parametrize("attention", ["additive", "multihead"])
def test_a_word_has_its_share_of_the_vocabulary_and_of_the_attention(attention: str) -> None:
    """Equations 8 and 9, word by word."""
    model, source = make(attention), memory(batch=2)
    prepared = model.prepare(source)
    token = torch.tensor([[BOS], [7]])
    logits, state, attended = model.step(token, model.start(prepared, 1), prepared)
    assert logits.shape == (2, 1, COPIES)
    hidden, context = state.hidden[-1], state.context
    inputs = torch.cat([context, hidden, model.embedding(token)], dim=-1)
    p_gen = torch.sigmoid(model.switch(inputs))
    written = model.vocabulary(torch.tanh(model.readout_hidden(hidden) + model.readout_context(context))).softmax(-1)
    torch.testing.assert_close(attended.gate, 1 - p_gen[..., 0])
    for b in range(2):
        for word in range(COPIES):
            share = sum(float(attended.weights[b, 0].mean(0)[s]) for s in range(9) if int(source.copies[b, s]) == word)
            expected = (1 - float(p_gen[b])) * share
            if word < VOCAB:
                expected += float(p_gen[b] * written[b, 0, word])
            assert float(logits[b, 0, word].exp()) == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(2, 1))


@torch.no_grad()
def test_words_and_positions_of_a_copy_net_share_one_softmax() -> None:
    model, source = make(decoder="copy_net"), memory(batch=2)
    model.switch.bias.fill_(0.3)
    prepared = model.prepare(source)
    token = torch.tensor([[BOS], [7]])
    log_probs, state, attended = model.step(token, model.start(prepared, 1), prepared)
    hidden, context = state.hidden[-1], state.context
    score = model.switch(torch.cat([context, hidden, model.embedding(token)], dim=-1)) + math.log(VOCAB)
    logits = model.vocabulary(torch.tanh(model.readout_hidden(hidden) + model.readout_context(context)))
    shares = torch.cat([logits, score + attended.weights.mean(2).log()], dim=-1).softmax(-1)  # (2, 1, VOCAB + 9)
    expected = torch.cat([shares[..., :VOCAB], torch.zeros(2, 1, NUM_EXTRA)], dim=-1)
    expected = expected.scatter_add(-1, source.copies[:, None], shares[..., VOCAB:])
    torch.testing.assert_close(log_probs.exp(), expected)
    torch.testing.assert_close(attended.gate, shares[..., VOCAB:].sum(-1))
    assert 0.3 < float(attended.gate.mean()) < 0.8


@torch.no_grad()
def test_words_beyond_the_vocabulary_are_learnt_from_and_read_as_unknown() -> None:
    model, source = make(), memory(batch=1)
    copied = torch.tensor([[[BOS, COPIES - 1, 5, EOS]]])
    unknown = torch.tensor([[[BOS, UNK, 5, EOS]]])
    mask = torch.ones_like(copied, dtype=torch.bool)
    output, other = model(copied, mask, source), model(unknown, mask, source)
    assert output.labels.tolist() == [COPIES - 1, 5, EOS]
    torch.testing.assert_close(output.logits, other.logits)
    assert float(output.logits[0, COPIES - 1]) > -10  # it stands in the source


def test_the_loss_is_finite_for_a_word_that_nobody_has() -> None:
    model, source = make(), memory(batch=1)
    source.copies.clamp_(max=VOCAB)
    source.copies[0, -1] = COPIES - 1  # so that ids between are nobody's
    source.mask[0, -1] = False
    tokens = torch.tensor([[[BOS, COPIES - 1, EOS]]])
    output = model(tokens, torch.ones_like(tokens, dtype=torch.bool), source)
    torch.nn.functional.cross_entropy(output.logits, output.labels, label_smoothing=0.1).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_model_without_anything_to_copy_says_what_it_needs() -> None:
    source = memory()
    source.copies = None
    with pytest.raises(ValueError, match="expected data of texts with tokenizer=copying_word"):
        make().prepare(source)


@torch.no_grad()
def test_rules_know_the_words_of_each_source() -> None:
    tokenizer, texts = CopyingWordTokenizer().fit(["a b c d e f g"]), ("a Ximo b Yara", "Yara c Ximo Zoe")
    own = [tokenizer.of_source(text) for text in texts]  # Ximo and Yara have other ids in each
    model, source = model_of(make()), memory(batch=2)
    model.decoder.switch.bias.fill_(-9.0)  # copy everything, and all of it is Ximo
    source.copies[:] = torch.tensor([known.encode("Ximo") for known in own])
    source.num_extra, source.source_texts = 3, texts

    def written(rule: Rule, search: type[Search] = BeamSearch) -> list[str]:
        made = search(max_length=6, rules=[rule, MinLength(4)])
        made.prepare(model, tokenizer)
        return [known.decode(found[0].tokens) for known, found in zip(own, made(model, source), strict=True)]

    for search in (GreedySearch, BeamSearch):
        assert all("Ximo" in text for text in written(Forbidden(["Yara"]), search))
        assert all("Ximo" not in text for text in written(Forbidden(["Ximo", "Quentin"]), search))
        assert all(f"{text} ".startswith("Yara a Ximo ") for text in written(Prefix("Yara a Ximo"), search))
    assert all("Yara Ximo" in text for text in written(ForcedWords(["Yara Ximo"])))
    for rule in (Prefix("a Zoe"), ForcedWords(["Zoe"])):
        with pytest.raises(ValueError, match=r"Zoe'; expected words of the run's vocabulary or of every source"):
            written(rule)


@torch.no_grad()
def test_searches_write_words_beyond_the_vocabulary() -> None:
    model, source = make(), memory(batch=2)
    model.switch.bias.fill_(-9.0)  # copy everything
    source.copies[:] = torch.where(source.mask, VOCAB + 1, PAD)
    torch.manual_seed(3)
    language_model = RecurrentLanguageModel(vocab_size=VOCAB, embedding_dim=4, hidden_dim=4, num_layers=1).eval()
    scored = BeamSearch(2, max_length=4, scorers=[LanguageModelScorer(language_model, 0.2)])
    scored.prepare(model_of(model), CopyingWordTokenizer().fit(["a b c d e f g"]))
    ruled = BeamSearch(2, max_length=4, rules=[NoRepeatNgram(1)])
    for search in (GreedySearch(4), BeamSearch(2, max_length=4), BeamSearch(4, num_groups=2, max_length=4), scored):
        for found in search(model_of(model), source):
            assert found[0].tokens[0] == VOCAB + 1
            assert found[0].gate_name == "copying"
            assert found[0].gate[0] > 0.99
    for found in ruled(model_of(model), source):
        assert found[0].tokens.count(VOCAB + 1) == 1
    for text in (text for found in scored(model_of(model), source) for text in found):
        # To the language model each such word is read as <unk>, and as probable as that.
        written = torch.tensor([[BOS, *text.tokens] + [EOS] * (not text.hit_max_length)])
        logits = language_model(written.where(written < VOCAB, UNK)[:, :-1])
        logits = torch.cat([logits, logits[..., UNK, None].expand(-1, -1, NUM_EXTRA)], dim=-1)
        logits[..., [PAD, BOS, UNK]] = -torch.inf
        expected = 0.2 * logits.log_softmax(-1).gather(-1, written[:, 1:, None]).sum() / (written.shape[1] - 1) ** 0.7
        assert text.scores["language_model"] == pytest.approx(float(expected), rel=1e-4)


@torch.no_grad()
def test_a_small_vocabulary_reads_from_its_table() -> None:
    """What a search makes once for all tokens has no row for words of the source."""
    model, source = make(), memory(batch=1)
    prepared = model.prepare(source)
    assert prepared.projected[0].shape[1] == VOCAB
    state = model.start(prepared, 1)
    beyond, _, _ = model.step(torch.tensor([[COPIES - 1]]), state, prepared)
    unknown, _, _ = model.step(torch.tensor([[UNK]]), state, prepared)
    torch.testing.assert_close(beyond, unknown)
