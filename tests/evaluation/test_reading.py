"""What a language model expects at each word of a text."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.evaluation.attention.rollout import self_rollout
from multimodal_attn.evaluation.reading import read_text
from multimodal_attn.models.language_models import RecurrentLanguageModel, TransformerLanguageModel
from multimodal_attn.prediction.writer import Writer
from multimodal_attn.types import BOS


def transformer(tokenizer: WordTokenizer | CharacterTokenizer) -> Writer:
    torch.manual_seed(0)
    return Writer(TransformerLanguageModel(len(tokenizer), dim=8, num_layers=2, num_heads=2).eval(), tokenizer)


@torch.no_grad()
def test_each_token_has_its_probability_and_what_was_read_before_it() -> None:
    writer = transformer(WordTokenizer().fit(["two dogs play in snow"]))
    found = read_text(writer, "key", "two dogs play", candidates=3)
    assert found.source.tolist() == ["⟨start⟩", "two", "dogs"]
    assert (found.text, found.tokens, found.given) == ("two dogs play", ["two", "dogs", "play"], True)
    np.testing.assert_allclose(found.log_probs, writer.log_probs("two dogs play")[:-1], rtol=1e-5)
    layers = writer.model.layer_weights(torch.tensor([[BOS, *found.token_ids[:-1]]]))
    np.testing.assert_allclose(found.weights, layers[-1][0].transpose(0, 1), rtol=1e-5)
    assert found.self_attention is not None
    np.testing.assert_allclose(found.self_attention.rollout, self_rollout(layers)[0], rtol=1e-5)
    (reads,) = found.self_attention.reads
    assert (reads.part, len(reads.weights), reads.shape) == ("decoder", 2, (1, 3))
    assert [len(offered) for offered in found.candidates] == [3, 3, 3]
    everything = dict(read_text(writer, "key", "two dogs play", candidates=99).candidates[1])
    assert everything["dogs"] == pytest.approx(math.exp(found.log_probs[1]), rel=1e-5)


def test_words_that_the_vocabulary_lacks_stay_readable() -> None:
    found = read_text(transformer(WordTokenizer().fit(["two dogs play in snow"])), "key", "two zebras play")
    assert found.source.tolist() == ["⟨start⟩", "two", "<unk: zebras>"]
    assert [word for word, _, _ in found.word_tokens] == ["two", "<unk: zebras>", "play"]


def test_a_word_of_several_tokens_has_the_candidates_of_its_first() -> None:
    writer = transformer(CharacterTokenizer().fit(["abc de"]))
    found = read_text(writer, "key", "ab de")
    assert [word for word, _, _ in found.word_tokens] == ["ab", "de"]
    assert len(found.candidates) == 2
    assert found.self_attention is not None
    assert found.self_attention.rollout.shape == (2, 5)


def test_a_model_without_self_attention_has_no_maps_and_a_text_has_a_token() -> None:
    tokenizer = WordTokenizer().fit(["two dogs"])
    writer = Writer(RecurrentLanguageModel(len(tokenizer), 4, 4, 1).eval(), tokenizer)
    found = read_text(writer, "key", "dogs two")
    assert found.self_attention is None
    assert found.weights.sum() == 0
    with pytest.raises(ValueError, match="'' has no token"):
        read_text(writer, "key", "")
