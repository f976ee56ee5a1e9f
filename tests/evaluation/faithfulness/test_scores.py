from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from multimodal_attn.evaluation.faithfulness.attribution import (
    Words,
    gradient_times_attention,
    integrated_gradients,
    word_log_probs,
)
from multimodal_attn.evaluation.faithfulness.scores import (
    SHARES,
    FaithfulnessScores,
    cell_ranks,
    kept_cells,
    verdicts,
)
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.models.decoders.base import LayerWeights
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.types import UNK, Batch, DecoderOutput, Grid, Hypothesis, Layout, Memory, Timeline, TokenAxis
from tests.contracts.parts import choices, part

NUM_EXAMPLES = 8
CELLS, VOCABULARY = 20, 26  # token 4 + s stands in cell s


@dataclass
class Attended:
    weights: Tensor


class Reader(nn.Module):
    """Writes what stands in cell t at step t: its logits are the states that it attends to, ``sharpness`` at cell t."""

    def __init__(self, sharpness: float) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness))

    def _look(self, step: int, memory: Memory) -> tuple[Tensor, Tensor]:
        scores = self.sharpness * nn.functional.one_hot(torch.tensor(step), memory.mask.shape[1])
        weights = scores.expand(memory.mask.shape).masked_fill(~memory.mask, -1e9).softmax(-1) * memory.mask
        return torch.bmm(weights[:, None], memory.states), weights[:, None, None]

    def prepare(self, memory: Memory) -> Memory:
        return memory

    def start(self, source: Memory, rows: int) -> int:
        return 0

    def layer_weights(self, tokens: Tensor, memory: Memory) -> list[LayerWeights]:
        return []

    def step(self, token: Tensor, state: int, source: Memory) -> tuple[Tensor, int, Attended]:
        logits, weights = self._look(state, source)
        return logits, state + 1, Attended(weights)

    def forward(self, tokens: Tensor, token_mask: Tensor, memory: Memory) -> DecoderOutput:
        looks = [self._look(step, memory) for step in range(tokens.shape[2] - 1)]
        mask = token_mask[..., 1:]
        logits = torch.stack([logits for logits, _ in looks], dim=2)
        return DecoderOutput(logits[mask], tokens[..., 1:][mask], torch.stack([w for _, w in looks], dim=2), mask)


class Blind(Encoder):
    """Stands for an encoder; ``layers`` are what it says that its layers of self-attention did."""

    def __init__(self, layers: list[Tensor]) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        pytest.fail("Model.encode makes the memory: nobody else may")

    def layer_weights(self, source: Tensor, lengths: Tensor) -> list[Tensor]:
        return [weights.expand(len(source), 1, -1, -1) for weights in self.layers]


class Model(nn.Module):
    """A cell holds the logits of its token, as far as its pixel is not grey, its sample not silent, its word known."""

    def __init__(self, sharpness: float, layout: Layout, layers: list[Tensor] | None = None) -> None:
        super().__init__()
        self.encoder, self.decoder, self.layout = Blind(layers or []), Reader(sharpness), layout

    def encode(self, batch: Batch) -> Memory:
        source = batch.source
        lit = source
        if source.ndim == 4:
            lit = (source[:, 0].flatten(1).float() / 127.5 - 1).abs()
        elif not source.is_floating_point():
            lit = (source != UNK).float()
        states = 5 * nn.functional.one_hot(torch.arange(CELLS) + 4, VOCABULARY).float() * lit[..., None]
        return Memory(states, torch.ones(lit.shape, dtype=torch.bool), self.layout)


def batch_of(size: int, layout: Layout) -> Batch:
    if isinstance(layout, Grid):  # black and white pixels, grey on average, one for each cell
        pixels = 255 * (torch.arange(CELLS) % 2).to(torch.uint8).view(4, 5)
        source, length = pixels.expand(size, 3, 4, 5), 1
    else:
        source, length = torch.ones(size, CELLS), CELLS
        if isinstance(layout, TokenAxis):
            source = 4 * source.long()
    tokens = torch.zeros(size, 1, 2, dtype=torch.long)
    return Batch([""] * size, source, torch.full((size,), length), tokens, tokens == 0, [()] * size)


@cache
def measure(
    maps: str, place: str = "grid", seed: int = 0, rows: int = 64, moved: int | None = None
) -> FaithfulnessScores:
    """Texts of six words that are read off cells 0 to 5; the hypotheses claim the given maps.

    With ``moved``, the encoder says that each of its cells reads the one ``moved`` before it.
    """
    layout: Layout = {"grid": Grid(4, 5), "timeline": Timeline(1.0), "tokens": TokenAxis()}[place]
    model = Model(6.0, layout, None if moved is None else [torch.eye(CELLS).roll(-moved, dims=1)])
    batch = batch_of(NUM_EXAMPLES, layout)
    memory = model.encode(batch)
    true = torch.eye(CELLS)[:6]
    claimed = {"true": true, "uniform": torch.full((6, CELLS), 1 / CELLS), "wrong": true.roll(10, dims=1)}[maps]
    best = [Hypothesis([4, 5, 6, 7, 8, 9], 0.0, torch.zeros(6), claimed[:, None]) for _ in range(NUM_EXAMPLES)]
    scores = FaithfulnessScores(num_draws=2, max_words=3, rows=rows, seed=seed)
    scores.update(model, batch, memory, best, [[(i, i + 1) for i in range(6)]] * NUM_EXAMPLES, sample_rate=1)
    return scores


# --------------------------------------------------------------------------------------------------- scores


def test_maps_that_tell_the_truth_beat_chance() -> None:
    scores = measure("true")
    found, ends = scores.compute(), scores.intervals()
    for name in ("deletion", "insertion", "input_deletion", "input_insertion"):
        low, high = ends[f"faithfulness_{name}"]
        assert 0.1 < low <= found[f"faithfulness_{name}"] <= high, name
    assert found["faithfulness_num_words"] == 3 * NUM_EXAMPLES
    assert verdicts(found, ends) == []


def test_a_curve_by_hand() -> None:
    curves = measure("true").curves()["memory"]["deletion"]
    certain = 5 * np.exp(6) / (np.exp(6) + 19)  # the logit of the right token, the others share the rest of the weight
    others = 5 / (np.exp(6) + 19)
    whole = certain - np.log(np.exp(certain) + 19 * np.exp(others) + 6)  # 6 tokens stand in no cell
    assert curves["attention"][0] == pytest.approx(whole, rel=1e-4)
    assert curves["random"][0] == pytest.approx(whole, rel=1e-4)
    # Without the right cell the other 19 share the weight, and the right token has a logit of 0.
    assert curves["attention"][1] == pytest.approx(-np.log(19 * np.exp(5 / 19) + 7), rel=1e-4)
    inserted = measure("true").curves()["memory"]["insertion"]["attention"]
    assert inserted[0] == pytest.approx(-np.log(VOCABULARY), rel=1e-4)  # nothing to read
    assert inserted[1] == pytest.approx(5 - np.log(np.exp(5) + VOCABULARY - 1), rel=1e-4)  # one cell, the right one


def test_uniform_maps_are_chance() -> None:
    scores = measure("uniform")
    found, ends = scores.compute(), scores.intervals()
    assert ends["faithfulness_deletion"].low < 0 < ends["faithfulness_deletion"].high
    assert abs(found["faithfulness_deletion"]) < 0.2 * measure("true").compute()["faithfulness_deletion"]


def test_wrong_maps_are_told_in_words() -> None:
    scores = measure("wrong")
    found, ends = scores.compute(), scores.intervals()
    assert found["faithfulness_deletion"] < 0
    sentences = verdicts(found, ends)
    assert len(sentences) >= 2
    assert all("does not beat chance" in sentence for sentence in sentences)
    # The gradients look at the decoder itself and are right all the same.
    assert ends["faithfulness_gradient_attention_deletion"].low > 0.1
    assert ends["faithfulness_integrated_gradients_deletion"].low > 0.1


@pytest.mark.parametrize("place", ["timeline", "tokens"])
def test_recordings_and_texts_too(place: str) -> None:
    assert measure("true", place=place).intervals()["faithfulness_input_deletion"].low > 0.1
    assert measure("wrong", place=place).compute()["faithfulness_input_deletion"] < 0.1


def test_rollout_is_left_out_in_words_where_nothing_attends_to_itself() -> None:
    scores = measure("true")
    assert not [name for name in scores.compute() if "rollout" in name]
    assert scores.left_out() == ["rollout is left out: the model has no layers of self-attention to go through"]
    assert FaithfulnessScores().left_out() == []


def test_rollout_through_an_encoder_finds_what_attention_does_not_know() -> None:
    """The maps name the cells ten further on, whose states, says the encoder, were read ten before."""
    scores = measure("wrong", moved=10)
    found = scores.compute()
    assert found["faithfulness_input_insertion"] < 0
    # Half of it stays at the cells that the map names, as equals: one of two is right.
    assert found["faithfulness_input_rollout_insertion"] > found["faithfulness_input_insertion"] + 0.1
    assert "faithfulness_rollout_deletion" not in found
    assert "decoder has no layers of self-attention" in scores.left_out()[0]


def test_seeds_make_it_repeatable_however_many_words_go_into_a_pass() -> None:
    first = measure("uniform").compute()
    assert measure("uniform", rows=7).compute() == pytest.approx(first, abs=1e-5)
    assert measure("uniform", seed=1).compute() != pytest.approx(first, abs=1e-5)


def test_empty_texts_add_nothing() -> None:
    model = Model(6.0, Grid(4, 5))
    batch = batch_of(1, model.layout)
    scores = FaithfulnessScores()
    empty = Hypothesis([], 0.0, torch.zeros(0), torch.zeros(0, 1, CELLS))
    scores.update(model, batch, model.encode(batch), [empty], [[]])
    assert scores.compute() == {}
    assert verdicts({}, {}) == []


def test_draws_are_checked() -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        FaithfulnessScores(num_draws=0)


# ------------------------------------------------------------------------------------------- cells and curves


def test_ranks_order_real_cells_from_the_highest_score() -> None:
    mask = torch.tensor([[True, True, True, False]])
    ranks = cell_ranks(torch.tensor([[0.2, -0.5, 0.7, 0.9]]), mask, torch.Generator().manual_seed(0))
    assert ranks.tolist() == [[1, 2, 0, 3]]


def test_equal_scores_are_in_random_order() -> None:
    scores = 1 + 1e-8 * torch.arange(5.0, dtype=torch.float64).expand(2000, 5)
    ranks = cell_ranks(scores, torch.ones(2000, 5, dtype=torch.bool), torch.Generator().manual_seed(0))
    assert ranks.float().mean(0).tolist() == pytest.approx([2] * 5, abs=0.15)


def test_deleted_and_inserted_cells_are_the_whole() -> None:
    mask = torch.arange(12) < torch.tensor([[12], [7]])
    ranks = cell_ranks(torch.rand(2, 12), mask, torch.Generator().manual_seed(0))
    for share, left, put in zip(
        SHARES, kept_cells(ranks, mask, "deletion"), kept_cells(ranks, mask, "insertion"), strict=True
    ):
        assert (left ^ put).equal(mask)
        assert put.sum(1).tolist() == [round(12 * share), round(7 * share)]


# ------------------------------------------------------------------------------------------------ attribution


def real_case(attention: str) -> tuple[RecurrentDecoder, Memory, Words]:
    decoder = RecurrentDecoder(
        part("attention", attention), memory_dim=6, vocab_size=11, embedding_dim=8, hidden_dim=12
    )
    mask = torch.arange(7) < torch.tensor([[7], [5], [7]])
    words = Words.of_texts([(0, [4, 5, 6, 7], 1, 3), (1, [8, 9], 0, 1), (0, [4, 5, 6, 7], 3, 4)], torch.device("cpu"))
    memory = Memory(torch.randn(3, 7, 6), mask, TokenAxis())
    return decoder.eval(), memory, words


def test_log_probability_of_a_word_is_that_of_its_tokens() -> None:
    decoder, memory, words = real_case("additive")
    output = decoder(words.tokens[:, None], words.mask[:, None], memory)
    each = output.logits.log_softmax(-1)[torch.arange(len(output.labels)), output.labels]
    # Rows have 3, 1 and 4 steps.
    expected = torch.stack([each[1] + each[2], each[3], each[7]])
    torch.testing.assert_close(word_log_probs(decoder, memory, words), expected)


def test_integrated_gradients_add_up() -> None:
    decoder, memory, words = real_case("additive")
    real = memory.mask[..., None]
    mean = ((memory.states * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)).expand_as(memory.states)
    start = word_log_probs(decoder, Memory(mean, memory.mask, memory.layout), words)
    found = integrated_gradients(decoder, memory, words, num_steps=32)
    torch.testing.assert_close(found.sum(1), word_log_probs(decoder, memory, words) - start, atol=2e-3, rtol=1e-2)
    assert (found[~memory.mask] == 0).all()


# The mean knows no query, linear attention makes its context without its weights; hard and monotonic attention take one
# position.
WITHOUT_GRADIENT = ("mean", "linear", "hard", "monotonic")


@pytest.mark.parametrize("name", [name for name in choices("attention") if name not in WITHOUT_GRADIENT])
def test_every_mechanism_has_gradients_at_its_weights(name: str) -> None:
    decoder, memory, words = real_case(name)
    found = gradient_times_attention(decoder, memory, words)
    assert found is not None
    assert found.isfinite().all()
    assert (found[memory.mask] != 0).any()
    assert (found[~memory.mask] == 0).all()


def test_gradient_at_the_weights_by_hand() -> None:
    """Of the reader, whose logits are w . states: d log p / d w_s = states_s[word] - sum_v p_v states_s[v]."""
    reader, states = Reader(1.0), torch.randn(1, 4, 7)
    memory = Memory(states, torch.ones(1, 4, dtype=torch.bool), TokenAxis())
    words = Words.of_texts([(0, [5], 0, 1)], torch.device("cpu"))
    weights = torch.tensor([1.0, 0, 0, 0]).softmax(0)
    chances = (weights @ states[0]).softmax(0)
    expected = weights * (states[0, :, 5] - states[0] @ chances)
    torch.testing.assert_close(gradient_times_attention(reader, memory, words), expected[None])


@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_weights_without_a_gradient_have_no_such_method(name: str) -> None:
    decoder, memory, words = real_case(name)
    assert gradient_times_attention(decoder, memory, words) is None
