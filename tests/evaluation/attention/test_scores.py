from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.evaluation.attention.cells import cells_of
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.types import (
    BOS,
    EOS,
    PAD,
    Batch,
    Box,
    DecoderOutput,
    Grid,
    Hypothesis,
    Layout,
    Memory,
    Span,
    Target,
    Timeline,
    TokenAxis,
)

TOKENIZER = WordTokenizer().fit(["a dog runs on the roof"] * 5)


def one_hot(size: int, *positions: int) -> torch.Tensor:
    """(T, 1, S): each token looks at one position."""
    return torch.eye(size)[list(positions)][:, None]


def score(
    layout: Layout,
    targets: tuple[Target, ...],
    read: torch.Tensor,
    text: str,
    written: torch.Tensor,
    padding: int = 0,
    source: str = "",
    times: list[Span] | None = None,
) -> AttentionScores:
    """A batch of one source, with maps along its first reference and along what was written.

    Shapes:
        read: (T, N, S) of the reference's tokens and <eos>. written: (T, N, S).
    """
    ids = [BOS, *TOKENIZER.encode(targets[0].text), EOS]
    tokens = torch.tensor([[[*ids, PAD]]])
    size = written.shape[-1]

    def padded(maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([maps, maps.new_full((*maps.shape[:-1], padding), 7.0)], dim=-1)  # must not be read

    weights = torch.zeros(1, 1, len(ids), read.shape[1], size + padding)
    weights[0, 0, : len(read)] = padded(read)
    mask = torch.arange(size + padding)[None] < size
    given = torch.zeros(1, 3, 4, 4)
    if source:
        given = torch.tensor([[*TOKENIZER.encode(source), EOS, *[PAD] * padding]])
    batch = Batch(["x"], given, torch.tensor([size]), tokens, tokens != PAD, [targets])
    output = DecoderOutput(torch.zeros(0, 4), torch.zeros(0), weights, tokens[..., 1:] != PAD)
    memory = Memory(torch.zeros(1, size + padding, 1), mask, layout)
    best = Hypothesis(TOKENIZER.encode(text), 0.0, torch.zeros(0), padded(written))
    scores = AttentionScores()
    scores.update(batch, memory, output, [best], TOKENIZER, TOKENIZER if source else None, [times])
    return scores


def test_boxes_are_compared_along_the_reference() -> None:
    target = Target("a dog", boxes={1: (Box(0, 0, 0.5, 0.5),)})
    scores = score(Grid(2, 2), (target, Target("dog")), one_hot(4, 3, 0, 3), "the roof", one_hot(4, 3, 3), padding=2)
    found = scores.compute()
    assert found["pointing_accuracy"] == 1
    assert found["pointing_accuracy_next"] == 0  # <eos> looks elsewhere
    assert found["pointing_num_words"] == 1
    assert found["attention_top_cell"] == 1  # of the written text


def test_times_are_compared_along_the_written_text() -> None:
    target = Target("a dog", times=(Span(0.1, 0.2), Span(0.3, 0.4)))
    nothing = one_hot(10, 9, 9, 9)
    scores = score(
        Timeline(0.1), (target,), nothing, "the dog", one_hot(10, 1, 5), 3, times=[Span(0, 0.1), Span(0.25, 0.4)]
    )
    found = scores.compute()
    assert found["onset_num_words"] == 1
    assert found["onset_bias_ms"] == pytest.approx(200)
    assert found["ctc_onset_bias_ms"] == pytest.approx(-50)
    assert found["attention_monotonicity"] == 1


def test_source_words_are_compared_along_the_reference() -> None:
    target = Target("a dog", read_from={0: (0,), 1: (1,)})
    scores = score(TokenAxis(), (target,), one_hot(3, 0, 2, 2), "roof", one_hot(3, 0), 2, source="the dog")
    found = scores.compute()
    assert found["alignment_accuracy"] == pytest.approx(1 / 2)
    assert found["alignment_uniform"] == pytest.approx(1 / 3)
    assert found["alignment_num_words"] == 2


def test_heads_are_averaged() -> None:
    # The first token's heads disagree: their mean has entropy 1/2. The second token and <eos> are uniform.
    maps = torch.tensor([[[1, 0, 0, 0], [0, 1, 0, 0]], [[0.25] * 4, [0.25] * 4], [[0.25] * 4, [0.25] * 4]])
    target = Target("a dog", boxes={0: (Box(0, 0, 1, 1),)})
    found = score(Grid(2, 2), (target,), maps, "", torch.zeros(0, 2, 4)).compute()
    assert found["attention_entropy"] == pytest.approx(0.75)  # <eos> is no token of the text
    assert found["attention_peak"] == pytest.approx(0.375)


def test_written_texts_have_a_shape_without_any_truth() -> None:
    scores = score(Grid(2, 2), (Target("a"),), one_hot(4, 0, 0), "a dog", one_hot(4, 0, 1))
    scores.merge(score(Grid(2, 2), (Target("a"),), one_hot(4, 0, 0), "a", torch.full((1, 1, 4), 0.25)))
    scores.merge(score(Grid(2, 2), (Target("a"),), one_hot(4, 0, 0), "", torch.zeros(0, 1, 4)))  # empty: has none
    found = scores.compute()
    assert found["attention_entropy"] == pytest.approx(1 / 3)
    assert found["attention_effective_cells"] == pytest.approx((1 + 1 + 4) / 3)  # of a token
    assert found["attention_coverage"] == pytest.approx((2 / 4 + 0) / 2)  # of a text
    assert "attention_monotonicity" not in found
    in_order = score(TokenAxis(), (Target("a"),), one_hot(4, 0, 0), "a dog", one_hot(4, 0, 1)).compute()
    assert in_order["attention_monotonicity"] == 1


def test_entropy_along_the_truth_goes_before_that_of_written_texts() -> None:
    target = Target("a", boxes={0: (Box(0, 0, 1, 1),)})
    found = score(Grid(2, 2), (target,), torch.full((2, 1, 4), 0.25), "a", one_hot(4, 0)).compute()
    assert found["attention_entropy"] == pytest.approx(1)


def test_shares_of_several_processes_add_up() -> None:
    def of(cell: int) -> AttentionScores:
        target = Target("a", boxes={0: (Box(0, 0, 0.5, 0.5),)})
        return score(Grid(2, 2), (target,), one_hot(4, cell, 0), "a", one_hot(4, 1))

    whole = AttentionScores()
    assert whole.compute() == {}
    for cell in (0, 3, 3):
        whole.merge(of(cell))
    found = whole.compute()
    assert found["pointing_accuracy"] == pytest.approx(1 / 3)
    assert found["pointing_num_words"] == 3
    assert of(0).compute()["pointing_accuracy"] == 1  # merging leaves the shares as they are


def test_an_unknown_layout_is_named() -> None:
    @dataclass(frozen=True)
    class Volume:
        pass

    with pytest.raises(ValueError, match="evaluation knows no Volume; expected one of Grid, Timeline, TokenAxis"):
        cells_of(Volume())  # type: ignore[arg-type]
