"""What every search of conf/search keeps, with a decoder of each kind of attention state."""

from __future__ import annotations

import itertools

import pytest
import torch

from multimodal_attn.types import BOS, EOS, PAD, UNK, Memory, TokenAxis
from tests.contracts.parts import choices, part
from tests.contracts.test_decoder import VOCAB, make
from tests.search.scripted import model_of, search_of

ATTENTION = ("additive", "location")
RULES = {"min_length": 4, "no_repeat_ngram": 2, "forbidden": ["5", "6 7"], "eos_threshold": 0.7}


def sources(batch: int = 8, dim: int = 20) -> Memory:
    """Sources of mixed lengths, the longest neither first nor last."""
    lengths = torch.tensor([5, 9, 3, 14, 7, 2, 11, 6])[:batch]
    mask = torch.arange(14) < lengths[:, None]
    return Memory(torch.randn(batch, 14, dim), mask, TokenAxis())


def alone(source: Memory, index: int) -> Memory:
    """One source without its padding."""
    positions = int(source.mask[index].sum())
    return Memory(
        source.states[index : index + 1, :positions], source.mask[index : index + 1, :positions], source.layout
    )


def texts(found) -> list[list[list[int]]]:
    return [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in found]


KEYS = [f"recording {index}" for index in range(8)]


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("rules", [{}, RULES], ids=["free", "ruled"])
@pytest.mark.parametrize("name", choices("search"))
def test_same_texts_at_any_batch_size(name: str, rules: dict[str, object], attention: str) -> None:
    model, source = model_of(make("listen_attend_spell", attention)), sources()
    search = search_of(name, max_length=12, **rules)
    together = texts(search(model, source, KEYS))
    assert [texts(search(model, alone(source, index), KEYS[index : index + 1]))[0] for index in range(8)] == together
    assert len({str(found) for found in together}) > 3


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("name", choices("search"))
def test_hypotheses_are_complete_and_ranked(name: str, attention: str) -> None:
    decoder, source = make("show_attend_tell", attention), sources()
    for index, found in enumerate(search_of(name, max_length=12)(model_of(decoder), source)):
        assert found
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
        for hypothesis in found:
            length = len(hypothesis.tokens)
            assert length <= 12
            assert not {PAD, BOS, EOS, UNK} & set(hypothesis.tokens)
            assert sum(hypothesis.scores.values()) == pytest.approx(hypothesis.score)
            tokens = torch.tensor([[[BOS, *hypothesis.tokens, EOS]]])
            output = decoder(tokens, torch.ones_like(tokens, dtype=torch.bool), source.select(slice(index, index + 1)))
            torch.testing.assert_close(hypothesis.weights, output.weights[0, 0, :length])
            output.logits[:, [PAD, BOS, UNK]] = -torch.inf
            expected = output.logits.log_softmax(-1)[range(length), hypothesis.tokens]
            torch.testing.assert_close(hypothesis.log_probs, expected, rtol=1e-4, atol=1e-4)


def keeps_the_rules(text: list[int]) -> bool:
    bigrams = list(itertools.pairwise(text))
    return len(text) >= 4 and len(set(bigrams)) == len(bigrams) and 5 not in text and (6, 7) not in bigrams


@pytest.mark.parametrize("name", choices("search"))
def test_rules_hold_in_every_hypothesis(name: str) -> None:
    model, source = model_of(make("show_attend_tell", "additive")), sources()
    bare = search_of(name, max_length=12)(model, source)
    ruled = search_of(name, max_length=12, **RULES)(model, source)
    assert not all(keeps_the_rules(h.tokens) for found in bare for h in found)
    assert all(keeps_the_rules(h.tokens) for found in ruled for h in found)


@pytest.mark.parametrize("name", ["beam", "diverse_beam"])
def test_every_scorer_at_once_gives_the_same_texts_at_any_batch_size(name: str) -> None:
    decoder, source = make("listen_attend_spell", "location"), sources()
    torch.manual_seed(2)
    model = model_of(decoder, torch.nn.Linear(20, VOCAB).requires_grad_(False))
    language_model = part("language_model", "recurrent")(vocab_size=VOCAB).eval()
    weights = {"ctc_weight": 0.3, "language_model_weight": 0.5, "length_bonus": 0.2, "coverage_weight": 0.1}
    settings = {"width": 6, "max_length": 12, "ctc_candidates": 6, "coverage_threshold": 0.1, "max_attention_jump": 6}
    search = search_of(name, model, language_model=language_model, **settings, **weights)
    together = search(model, source)
    assert [texts(search(model, alone(source, index)))[0] for index in range(8)] == texts(together)
    for hypothesis in (h for found in together for h in found):
        assert set(hypothesis.scores) == {"decoder", "ctc", "language_model", "length", "coverage"}
        assert sum(hypothesis.scores.values()) == pytest.approx(hypothesis.score)
    for weight in weights:  # each changes something
        others = {key: 0.0 if key == weight else value for key, value in weights.items()}
        model_or_none = None if weight == "language_model_weight" else language_model
        without = search_of(name, model, language_model=model_or_none, **settings, **others)
        assert texts(without(model, source)) != texts(together), weight
