"""Samples from the nucleus: their shares, their seeds, their scores."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from multimodal_attn.search import GreedySearch, NucleusSampling
from tests.search.scripted import TableDecoder, memory, model_of, table

MODEL = model_of(TableDecoder(table(8, t1={4: 0.5, 5: 0.3, 6: 0.15, 7: 0.05})))


def shares(**settings: float) -> dict[int, float]:
    found = NucleusSampling(num_samples=4000, **settings)(MODEL, memory())[0]
    counts = Counter(text.tokens[0] for text in found)
    return {token: count / len(found) for token, count in counts.items()}


def test_whole_distribution() -> None:
    assert shares(top_p=1.0) == pytest.approx({4: 0.5, 5: 0.3, 6: 0.15, 7: 0.05}, abs=0.03)


def test_nucleus_is_the_smallest_set_with_the_share() -> None:
    assert shares(top_p=0.79) == pytest.approx({4: 0.625, 5: 0.375}, abs=0.03)
    assert shares(top_p=0.81) == pytest.approx({4: 0.526, 5: 0.316, 6: 0.158}, abs=0.03)
    assert set(shares(top_p=0.1)) == {4}


def test_temperature() -> None:
    squared = {4: 0.25, 5: 0.09, 6: 0.0225, 7: 0.0025}
    expected = {token: share / sum(squared.values()) for token, share in squared.items()}
    assert shares(top_p=1.0, temperature=0.5) == pytest.approx(expected, abs=0.03)


def test_score_is_the_models_own_probability() -> None:
    for text in NucleusSampling(num_samples=20, temperature=3.0, top_p=1.0)(MODEL, memory())[0]:
        probability = {4: 0.5, 5: 0.3, 6: 0.15, 7: 0.05}[text.tokens[0]]
        assert text.log_probs.exp().tolist() == pytest.approx([probability], rel=1e-3)
        assert text.score == pytest.approx(float(torch.tensor(probability).log()) / 2, abs=1e-3)


def test_best_sample_comes_first() -> None:
    scores = [text.score for text in NucleusSampling(num_samples=20, top_p=1.0)(MODEL, memory())[0]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


KEYS = ["a.wav", "b.wav", "c.wav", "d.wav"]


def tokens_of(search: NucleusSampling, decoder: TableDecoder, keys: list[str] | None) -> list[list[list[int]]]:
    source = memory(batch=len(keys or KEYS))
    return [[text.tokens for text in texts] for texts in search(model_of(decoder), source, keys)]


def test_texts_depend_on_the_seed_and_the_key_and_on_nothing_else() -> None:
    decoder = TableDecoder(torch.randn(9, 9))
    settings = {"num_samples": 3, "top_p": 1.0, "max_length": 20}
    search = NucleusSampling(**settings)
    first = tokens_of(search, decoder, KEYS)
    torch.manual_seed(5)
    assert tokens_of(search, decoder, KEYS) == first
    assert tokens_of(NucleusSampling(seed=1, **settings), decoder, KEYS) != first
    assert [tokens_of(search, decoder, [key])[0] for key in KEYS] == first
    assert tokens_of(search, decoder, KEYS[::-1]) == first[::-1]
    assert len({str(texts) for texts in first}) == 4
    # A longer batch mate raises the number of steps that numbers are made for.
    longer = NucleusSampling(num_samples=3, top_p=1.0, max_length=50)
    unlimited = [text for texts in first for text in texts if len(text) < 20]
    assert unlimited
    found = [text for texts in tokens_of(longer, decoder, KEYS) for text in texts]
    assert all(text in found for text in unlimited)


def test_without_keys_texts_depend_on_the_place_in_the_batch() -> None:
    decoder, search = TableDecoder(torch.randn(9, 9)), NucleusSampling(num_samples=3, top_p=1.0, max_length=20)
    found = tokens_of(search, decoder, None)
    assert tokens_of(search, decoder, None) == found
    assert len({str(texts) for texts in found}) == 4


def test_narrowest_nucleus_is_greedy() -> None:
    decoder = TableDecoder(torch.randn(3, 9, 9))
    sampled = NucleusSampling(num_samples=2, top_p=1e-6, max_length=9)(model_of(decoder), memory(batch=3))
    greedy = GreedySearch(max_length=9)(model_of(decoder), memory(batch=3))
    assert [[text.tokens for text in texts] for texts in sampled] == [[g[0].tokens] * 2 for g in greedy]
