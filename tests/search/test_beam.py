"""The beam's score against an exhaustive search, and what its limits and flags say."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from multimodal_attn.search import BeamSearch, GreedySearch
from multimodal_attn.search.rules.attention_jump import AttentionJump
from multimodal_attn.search.rules.base import forbid_specials
from multimodal_attn.search.rules.min_length import MinLength
from multimodal_attn.search.scorers.ctc import CTCScorer
from multimodal_attn.types import BOS, EOS, PAD, Hypothesis, Memory, TokenAxis
from tests.search.scripted import TableDecoder, TableLanguageModel, memory, model_of, search_of, table

VOCAB, LONGEST, POSITIONS = 7, 3, 4
LOOKS_AT = [0, 0, 0, 0, 1, 2, 3]


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 1.5


def exhaustive(settings: dict[str, float]) -> dict[tuple[int, ...], dict[str, float]]:
    """Every text that ends in time, with what each scorer gives it, from the definitions."""
    decoder = forbid_specials(random(VOCAB, VOCAB, seed=1)).log_softmax(-1)
    language = forbid_specials(random(VOCAB, VOCAB, seed=2)).log_softmax(-1)
    ctc_log_probs = random(1, POSITIONS, VOCAB, seed=3).double().log_softmax(-1).transpose(0, 1)
    texts = {}
    for length in range(LONGEST):
        for text in itertools.product(range(4, VOCAB), repeat=length):
            path = [BOS, *text, EOS]
            pairs = list(itertools.pairwise(path))
            scale = len(pairs) ** settings["length_penalty"]
            parts = {"decoder": (1 - settings["ctc_weight"]) * sum(decoder[a, b].item() for a, b in pairs) / scale}
            if settings["ctc_weight"]:
                loss = functional.ctc_loss(
                    ctc_log_probs, torch.tensor([text]), (POSITIONS,), (length,), blank=PAD, reduction="sum"
                )
                parts["ctc"] = settings["ctc_weight"] * -float(loss.clamp(max=1e4)) / scale
            if settings["language_model_weight"]:
                total = sum(language[a, b].item() for a, b in pairs)
                parts["language_model"] = settings["language_model_weight"] * total / scale
            if settings["length_bonus"]:
                parts["length"] = settings["length_bonus"] * len(pairs)
            if settings["coverage_weight"]:
                parts["coverage"] = settings["coverage_weight"] * len({LOOKS_AT[token] for token in path[:-1]})
            texts[text] = parts
    return texts


WHOLE = model_of(
    TableDecoder(random(VOCAB, VOCAB, seed=1), LOOKS_AT), lambda states: random(1, POSITIONS, VOCAB, seed=3)
)
DECODER_ALONE = {
    "length_penalty": 1.0,
    "ctc_weight": 0.0,
    "language_model_weight": 0.0,
    "length_bonus": 0.0,
    "coverage_weight": 0.0,
}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"length_penalty": 0.0},
        {"ctc_weight": 0.4},
        {"language_model_weight": 0.7, "length_penalty": 0.0},
        {"length_bonus": 0.8},
        {"coverage_weight": 0.9, "length_penalty": 0.5},
        {"ctc_weight": 0.3, "language_model_weight": 0.5, "length_bonus": 0.4, "coverage_weight": 0.2},
    ],
)
def test_wide_beam_finds_the_best_of_all_texts(changed: dict[str, float]) -> None:
    settings = DECODER_ALONE | changed
    expected = exhaustive(settings)
    language_model = TableLanguageModel(random(VOCAB, VOCAB, seed=2)) if settings["language_model_weight"] else None
    search = search_of("beam", WHOLE, language_model=language_model, width=60, max_length=LONGEST, **settings)
    found = search(WHOLE, memory(POSITIONS))[0]
    ranked = sorted(expected, key=lambda text: -sum(expected[text].values()))
    assert [tuple(h.tokens) for h in found] == ranked
    for hypothesis in found:
        parts = expected[tuple(hypothesis.tokens)]
        assert hypothesis.scores == pytest.approx(parts, rel=1e-4, abs=1e-4)
        assert hypothesis.score == pytest.approx(sum(parts.values()), rel=1e-4, abs=1e-4)


def test_ctc_changes_what_the_decoder_would_write() -> None:
    ctc_logits = torch.full((1, 2, 6), -20.0)
    ctc_logits[0, 0, 5] = ctc_logits[0, 1, PAD] = 0.0
    model = model_of(TableDecoder(table(6, t1={4: 0.6, 5: 0.4})), lambda states: ctc_logits)
    assert BeamSearch(2)(model, memory(2))[0][0].tokens == [4]
    best = BeamSearch(2, scorers=[CTCScorer(0.3)])(model, memory(2))[0][0]
    assert best.tokens == [5]
    assert best.log_probs.exp().tolist() == pytest.approx([0.4])  # the decoder's own


def test_text_longer_than_its_memory_still_comes_back() -> None:
    """CTC gives such a text no probability, which must not leave the beam without one."""
    decoder = TableDecoder(table(6, t1={4: 1.0}, t4={5: 1.0}, t5={4: 1.0}))
    model = model_of(decoder, lambda states: torch.zeros(1, 2, 6))
    (best, *_) = search_of("beam", model, ctc_weight=0.5, width=2, max_length=5, min_length=5)(model, memory(2))[0]
    assert best.tokens == [4, 5, 4, 5, 4]
    assert best.flags == ["hit_max_length"]
    assert math.isfinite(best.score)


def test_attention_may_not_jump() -> None:
    # After 4 attention goes on from position 0 to 1; after 5 it jumps to position 3.
    rows = table(8, t1={4: 0.4, 5: 0.6}, t4={6: 1.0}, t5={7: 1.0})
    model = model_of(TableDecoder(rows, [0, 0, 0, 0, 1, 3, 2, 3]))
    still = AttentionJump(1)
    assert BeamSearch(2)(model, memory())[0][0].tokens == [5, 7]
    assert BeamSearch(2, rules=[still])(model, memory())[0][0].tokens == [4, 6]
    # A beam whose rows all jump keeps them.
    assert BeamSearch(1, rules=[still])(model, memory())[0][0].tokens == [5, 7]


@pytest.mark.parametrize(
    "rules",
    [{"min_length": 6}, {"no_repeat_ngram": 2}, {"eos_threshold": 0.3}, {"forbidden": ["4", "5 6"]}],
)
def test_beam_of_one_is_greedy_under_rules(rules: dict[str, object]) -> None:
    model = model_of(TableDecoder(random(5, VOCAB, VOCAB, seed=4)))
    greedy = search_of("greedy", max_length=9, **rules)(model, memory(batch=5))
    beam = search_of("beam", width=1, length_penalty=1.0, max_length=9, **rules)(model, memory(batch=5))
    free = GreedySearch(max_length=9)(model, memory(batch=5))
    assert [g[0].tokens for g in greedy] == [b[0].tokens for b in beam]
    assert [g[0].score for g in greedy] == pytest.approx([b[0].score for b in beam], abs=1e-5)
    assert [g[0].tokens for g in greedy] != [f[0].tokens for f in free]


def test_flags() -> None:
    cut = GreedySearch(max_length=3)(model_of(TableDecoder(table(6, t1={4: 1.0}, t4={5: 1.0}, t5={4: 1.0}))), memory())[
        0
    ][0]
    assert cut.tokens == [4, 5, 4]
    assert cut.flags == ["hit_max_length"]
    looped = BeamSearch(1, max_length=8)(
        model_of(TableDecoder(table(6, t1={4: 1.0}, t4={5: 1.0}, t5={4: 1.0}))), memory()
    )[0][0]
    assert looped.flags == ["looped", "hit_max_length"]
    empty = BeamSearch(2)(model_of(TableDecoder(table(6, t1={EOS: 0.9, 4: 0.1}))), memory())[0][0]
    assert (empty.tokens, empty.flags, empty.weights.shape) == ([], ["empty"], (0, 1, 4))
    assert not Hypothesis([4, 5, 4, 5, 4, 5], 0.0, torch.zeros(6), torch.zeros(6, 1, 4)).flags


def test_limits_follow_the_length_of_each_source() -> None:
    lengths = torch.tensor([2, 6])
    source = Memory(torch.zeros(2, 6, 2), torch.arange(6) < lengths[:, None], TokenAxis())
    endless = model_of(TableDecoder(table(6, t1={4: 1.0}, t4={4: 1.0})))
    for search in (GreedySearch, BeamSearch):
        search = search(max_length_ratio=1.5, rules=[MinLength(9)])
        assert [len(found[0].tokens) for found in search(endless, source)] == [3, 9]
        assert all(found[0].hit_max_length for found in search(endless, source))


def test_short_texts_that_end_first_do_not_stop_the_right_one() -> None:
    """At every step ending is second best, so that ``width`` texts have ended long before the likeliest one."""
    chain = {f"t{token}": {token + 1: 0.9, EOS: 0.1} for token in range(4, 9)}
    model = model_of(TableDecoder(table(11, t1={4: 0.9, EOS: 0.1}, **chain)))
    (best, *_) = BeamSearch(2)(model, memory())[0]
    assert best.tokens == [4, 5, 6, 7, 8, 9]
