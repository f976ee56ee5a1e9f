from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from multimodal_attn.evaluation.attention.rollout import (
    decoder_rollout,
    input_rollout,
    memory_rollout,
    self_rollout,
)
from multimodal_attn.evaluation.faithfulness.attribution import Words
from multimodal_attn.evaluation.faithfulness.scores import FaithfulnessScores
from multimodal_attn.models.decoders import TransformerDecoder
from multimodal_attn.models.decoders.base import LayerWeights
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.encoders.speech.transformer import Transformer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search import GreedySearch
from multimodal_attn.search.rules.min_length import MinLength
from multimodal_attn.types import Batch, Memory, TokenAxis


def distributions(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).softmax(-1)


# ---------------------------------------------------------------------------------------------- the encoder's


def test_one_layer_is_half_itself_and_half_its_weights() -> None:
    weights = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    torch.testing.assert_close(self_rollout([weights[None]]), torch.tensor([[0.6, 0.4], [0.5, 0.5]]))


def test_heads_are_averaged() -> None:
    heads = distributions(2, 3, 3)
    torch.testing.assert_close(self_rollout([heads]), 0.5 * torch.eye(3) + 0.25 * (heads[0] + heads[1]))
    read = distributions(2, 3, 4)
    torch.testing.assert_close(decoder_rollout([LayerWeights(heads, read)]), 0.5 * read.mean(0))


def test_the_last_layer_stands_on_the_left() -> None:
    first, last = distributions(1, 3, 3), distributions(1, 3, 3)
    half = 0.5 * torch.eye(3)
    torch.testing.assert_close(self_rollout([first, last]), (half + 0.5 * last[0]) @ (half + 0.5 * first[0]))


def test_layers_that_look_at_themselves_change_nothing() -> None:
    assert self_rollout([torch.eye(4)[None]] * 3).equal(torch.eye(4))


def test_rollout_of_permuted_cells_is_permuted() -> None:
    layers, order = list(distributions(3, 1, 5, 5)), torch.tensor([3, 0, 4, 1, 2])
    moved = self_rollout([weights[:, order][..., order] for weights in layers])
    torch.testing.assert_close(moved, self_rollout(layers)[order][:, order])
    torch.testing.assert_close(moved.sum(-1), torch.ones(5))


# ---------------------------------------------------------------------------------------------- the decoder's


def test_one_decoder_layer_reads_half_from_the_memory() -> None:
    memory = distributions(1, 3, 4)
    found = decoder_rollout([LayerWeights(distributions(1, 3, 3), memory)])
    torch.testing.assert_close(found, 0.5 * memory[0])


def test_two_decoder_layers_by_hand() -> None:
    """Token 1 looks at token 0 in the second layer, which had looked at cell 0 in the first."""
    nowhere = torch.full((2, 3), 1 / 3)
    first = LayerWeights(torch.eye(2)[None], torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]))
    second = LayerWeights(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), nowhere[None])
    # After layer 1 half of each is its cell; in layer 2 token 1 halves that, takes half of token 0's, halves it all.
    expected = torch.tensor([[1 / 4, 0, 0], [1 / 8, 1 / 8, 0]]) + 0.5 * nowhere
    torch.testing.assert_close(decoder_rollout([first, second]), expected)


def test_a_decoder_is_an_encoder_of_its_tokens_and_a_memory_that_stays() -> None:
    """The two reads of a layer as matrices over tokens and cells at once."""
    layers, joint = [], []
    for _ in range(3):
        weights = LayerWeights(distributions(1, 3, 3).tril(), distributions(1, 3, 4))
        weights = weights._replace(tokens=weights.tokens / weights.tokens.sum(-1, keepdim=True))
        layers.append(weights)
        for block in (slice(0, 3), slice(3, 7)):
            matrix = torch.eye(7)
            matrix[:3] = 0
            matrix[:3, block] = (weights.tokens if block.start == 0 else weights.memory)[0]
            joint.append(matrix[None])
    found = self_rollout(joint)
    torch.testing.assert_close(found[:3, 3:], decoder_rollout(layers))


def test_tokens_behind_a_prefix_are_one_sequence_with_it() -> None:
    """Layers that read memory and tokens at once as matrices over both, in which the memory reads itself."""
    layers, joint = [], []
    for _ in range(3):
        rows, prefix = distributions(2, 3, 7), distributions(2, 4, 4)
        rows[..., 4:] = rows[..., 4:].tril()
        rows = rows / rows.sum(-1, keepdim=True)
        layers.append(LayerWeights(rows[None, None, ..., 4:], rows[None, None, ..., :4], prefix[None]))
        joint.append(torch.cat([torch.nn.functional.pad(prefix, (0, 3)), rows], dim=-2))
    torch.testing.assert_close(decoder_rollout(layers)[0, 0], self_rollout(joint)[4:, :4])


# ------------------------------------------------------------------------------------------------ real models


def tiny_decoder() -> TransformerDecoder:
    torch.manual_seed(0)
    decoder = TransformerDecoder(memory_dim=16, vocab_size=9, hidden_dim=16, num_layers=2, feed_forward_dim=16)
    for parameter in decoder.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return decoder.eval()


@torch.no_grad()
def test_words_are_those_of_their_steps_and_permuted_cells_are_permuted() -> None:
    decoder = tiny_decoder()
    words = Words.of_texts([(0, [4, 5, 6], 1, 3), (1, [7, 8], 0, 1)], torch.device("cpu"))
    memory = Memory(torch.randn(2, 6, 16), torch.arange(6) < torch.tensor([[6], [4]]), TokenAxis())
    found = memory_rollout(decoder, memory, words)
    assert found is not None
    whole = decoder_rollout(decoder.layer_weights(words.tokens[:, None, :-1], memory))[:, 0]
    torch.testing.assert_close(found, torch.stack([whole[0, 1:3].mean(0), whole[1, 0]]))
    assert (found[~memory.mask] == 0).all()
    # Self-attention between cells has positions, attention to them has none.
    order = torch.tensor([2, 0, 3, 1, 4, 5])
    moved = memory_rollout(decoder, Memory(memory.states[:, order], memory.mask[:, order], memory.layout), words)
    torch.testing.assert_close(moved, found[:, order])


def tiny_model() -> tuple[Seq2Seq, Batch]:
    torch.manual_seed(0)
    encoder = Transformer(LogMel(num_mels=8), hidden_dim=16, num_layers=2, num_heads=2)
    model = Seq2Seq(encoder, lambda memory_dim, vocab_size: tiny_decoder(), 9).eval()
    lengths = torch.tensor([8000, 6000])
    waveforms = torch.randn(2, 8000) * (torch.arange(8000) < lengths[:, None])
    tokens = torch.zeros(2, 1, 2, dtype=torch.long)
    return model, Batch(["a", "b"], waveforms, lengths, tokens, tokens == 0, [(), ()])


@torch.no_grad()
def test_rollout_goes_down_to_the_input() -> None:
    model, batch = tiny_model()
    memory = model.encode(batch)
    words = Words.of_texts([(0, [4, 5], 0, 2), (1, [6], 0, 1)], torch.device("cpu"))
    cells = memory_rollout(model.decoder, memory, words)
    assert cells is not None
    flow = self_rollout(model.encoder.layer_weights(batch.source, batch.source_lengths))
    maps = torch.rand(memory.mask.shape) * memory.mask
    torch.testing.assert_close(
        input_rollout(model, batch, memory, words, maps), torch.stack([cells[i] @ flow[i] for i in range(2)])
    )
    without_encoder_layers = SimpleNamespace(decoder=model.decoder, encoder=SimpleNamespace(layer_weights=_none))
    torch.testing.assert_close(input_rollout(without_encoder_layers, batch, memory, words, maps), cells)
    without_decoder_layers = SimpleNamespace(decoder=SimpleNamespace(layer_weights=_none), encoder=model.encoder)
    torch.testing.assert_close(
        input_rollout(without_decoder_layers, batch, memory, words, maps),
        torch.stack([maps[i] @ flow[i] for i in range(2)]),
    )
    assert memory_rollout(without_decoder_layers.decoder, memory, words) is None


def _none(*arguments: object) -> list[torch.Tensor]:
    return []


@torch.no_grad()
def test_rollout_stands_beside_attention_at_both_places() -> None:
    model, batch = tiny_model()
    memory = model.encode(batch)
    best = [found[0] for found in GreedySearch(6, rules=[MinLength(3)])(model, memory)]
    scores = FaithfulnessScores(num_draws=1)
    scores.update(model, batch, memory, best, [[(i, i + 1) for i in range(len(h.tokens))] for h in best])
    found, ends = scores.compute(), scores.intervals()
    for name in ("faithfulness_rollout", "faithfulness_input_rollout"):
        for kind in ("deletion", "insertion"):
            assert ends[f"{name}_{kind}"].low <= found[f"{name}_{kind}"] <= ends[f"{name}_{kind}"].high
    curves = scores.curves()
    for place in ("memory", "input"):  # nothing is taken away yet, and the same is left of all orders
        assert curves[place]["deletion"]["rollout"][0] == pytest.approx(curves[place]["deletion"]["random"][0])
    assert scores.left_out() == []
