"""What is kept of the layers of real models, for each kind of source."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.evaluation.attention import self_attention as module
from multimodal_attn.evaluation.attention.rollout import decoder_rollout, self_rollout
from multimodal_attn.evaluation.attention.self_attention import self_attention
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.search import GreedySearch
from multimodal_attn.search.rules.min_length import MinLength
from multimodal_attn.types import BOS, Example
from tests.contracts.parts import decoder_of, encoder_of

TEXT = Example("a", "one two three four", ())


def tokenizer() -> WordTokenizer:
    return WordTokenizer().fit(["one two three four five six"])


def predictor_of(encoder: str, decoder: str) -> Predictor:
    torch.manual_seed(0)
    words = tokenizer()
    model = Seq2Seq(encoder_of(encoder), lambda **widths: decoder_of(decoder, "additive", **widths), len(words)).eval()
    search = GreedySearch(6, rules=[MinLength(3)])
    search.prepare(model, words)
    return Predictor(model, words, search, TextReader(), words)


def test_both_parts_and_rollout_through_both() -> None:
    predictor = predictor_of("text_transformer", "transformer")
    prediction = predictor.predict([TEXT])[0]
    found = self_attention(predictor, TEXT, prediction)
    assert found is not None
    encoder, decoder = found.reads
    assert (encoder.part, encoder.shape, decoder.part) == ("encoder", (1, 5), "decoder")
    batch = predictor.collate([TEXT])
    with torch.no_grad():
        layers = predictor.model.encoder.layer_weights(batch.source, batch.source_lengths)
        read = torch.tensor([[[BOS, *prediction.token_ids[:-1]]]])
        written = predictor.model.decoder.layer_weights(read, predictor.model.encode(batch))
    np.testing.assert_allclose(np.stack(encoder.weights), torch.stack(layers)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(decoder.weights[0], written[0].tokens[0, 0], rtol=1e-5)
    flow = decoder_rollout(written)[0, 0] @ self_rollout(layers)[0]
    np.testing.assert_allclose(found.rollout, flow, rtol=1e-4)
    assert [len(layer) for layer in decoder.heads] == [4, 4, 4]


def test_a_recurrent_decoder_starts_from_its_map_and_other_encoders_end_at_the_memory() -> None:
    predictor = predictor_of("text_transformer", "align_translate")
    prediction = predictor.predict([TEXT])[0]
    found = self_attention(predictor, TEXT, prediction)
    assert found is not None
    assert [reads.part for reads in found.reads] == ["encoder"]
    batch = predictor.collate([TEXT])
    with torch.no_grad():
        flow = self_rollout(predictor.model.encoder.layer_weights(batch.source, batch.source_lengths))[0].numpy()
    np.testing.assert_allclose(found.rollout, prediction.word_weights @ flow, rtol=1e-4)

    predictor = predictor_of("text_lstm", "transformer")
    found = self_attention(predictor, TEXT, predictor.predict([TEXT])[0])
    assert found is not None
    assert [reads.part for reads in found.reads] == ["decoder"]
    assert found.rollout.shape[1] == 5


def test_nothing_is_kept_of_models_without_layers_nor_of_sources_that_are_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictor = predictor_of("text_lstm", "align_translate")
    assert self_attention(predictor, TEXT, predictor.predict([TEXT])[0]) is None
    predictor = predictor_of("text_transformer", "align_translate")
    prediction = predictor.predict([TEXT])[0]
    monkeypatch.setattr(module, "LONGEST", 4)
    assert self_attention(predictor, TEXT, prediction) is None
