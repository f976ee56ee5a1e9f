"""Masks over the next token, by hand-made scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.search import BeamSearch, DiverseBeamSearch, GreedySearch, NucleusSampling
from multimodal_attn.search.constraints import Constraints, forbid_specials
from multimodal_attn.search.words import whole_words
from multimodal_attn.types import BOS, EOS
from tests.search.scripted import TableDecoder, memory, table

VOCAB = 8


def allowed(constraints: Constraints, *tokens: int, scores: Tensor | None = None) -> list[int]:
    """What may follow <bos> and ``tokens``."""
    scores = forbid_specials(torch.zeros(VOCAB) if scores is None else scores).log_softmax(-1)
    history = torch.tensor([[[BOS, *tokens]]])
    left = constraints(scores[None, None], len(tokens), history if constraints.need_history else None)
    return left[0, 0].isfinite().nonzero()[:, 0].tolist()


def test_nothing_is_masked_by_default() -> None:
    constraints = Constraints()
    assert not constraints.any
    assert allowed(constraints, 4, 4, 4) == [EOS, 4, 5, 6, 7]


def test_minimum_length_counts_tokens_before_the_end() -> None:
    constraints = Constraints(min_length=2)
    assert allowed(constraints) == [4, 5, 6, 7]
    assert allowed(constraints, 4) == [4, 5, 6, 7]
    assert allowed(constraints, 4, 4) == [EOS, 4, 5, 6, 7]


def test_no_ngram_comes_twice() -> None:
    bigrams = Constraints(no_repeat_ngram=2)
    assert allowed(bigrams, 4, 5, 6) == [EOS, 4, 5, 6, 7]
    assert allowed(bigrams, 4, 5, 6, 4) == [EOS, 4, 6, 7]
    assert allowed(bigrams, 4, 4) == [EOS, 5, 6, 7]
    assert allowed(Constraints(no_repeat_ngram=1), 4, 6) == [EOS, 5, 7]
    trigrams = Constraints(no_repeat_ngram=3)
    assert allowed(trigrams, 4, 5) == [EOS, 4, 5, 6, 7]
    assert allowed(trigrams, 4, 5, 6, 4, 5) == [EOS, 4, 5, 7]


def test_rows_are_masked_each_by_its_own_history() -> None:
    scores = torch.zeros(1, 2, VOCAB)
    history = torch.tensor([[[BOS, 4, 5, 4], [BOS, 4, 5, 6]]])
    masked = Constraints(no_repeat_ngram=2)(scores, 3, history) == -torch.inf
    assert masked.nonzero().tolist() == [[0, 0, 0], [0, 0, 5], [0, 1, 0]]  # padding is out of the choice anyway


def test_forbidden_sequences() -> None:
    constraints = Constraints(forbidden=[[5], (6, 7)])
    assert allowed(constraints, 4) == [EOS, 4, 6, 7]
    assert allowed(constraints, 4, 6) == [EOS, 4, 6]
    assert allowed(constraints, 6, 4) == [EOS, 4, 6, 7]
    assert allowed(Constraints(forbidden=[(BOS, 4)])) == [EOS, 5, 6, 7]
    assert allowed(Constraints(forbidden=[(4, 5, 6, 7)]), 4) == [EOS, 4, 5, 6, 7]


def test_end_must_beat_the_best_other_token() -> None:
    probabilities = torch.full((VOCAB,), 1e-9)
    probabilities[EOS], probabilities[4], probabilities[5] = 0.3, 0.4, 0.3
    scores = probabilities.log()
    assert EOS not in allowed(Constraints(eos_threshold=1.0), scores=scores.clone())
    # log 0.3 = -1.204 against 1.5 * log 0.4 = -1.374
    assert EOS in allowed(Constraints(eos_threshold=1.5), scores=scores.clone())
    probabilities[EOS], probabilities[4] = 0.4, 0.3
    assert EOS in allowed(Constraints(eos_threshold=1.0), scores=probabilities.log())
    # 0.5 * log 0.3 = -0.602 against log 0.4 = -0.916
    assert EOS not in allowed(Constraints(eos_threshold=0.5), scores=probabilities.log())


def test_text_ends_where_no_token_is_left() -> None:
    constraints = Constraints(min_length=9, forbidden=[[4], [5], [6]], no_repeat_ngram=1)
    assert allowed(constraints) == [7]
    assert allowed(constraints, 7) == [EOS]


def test_scores_stay_what_the_model_gives() -> None:
    decoder = TableDecoder(table(6, t1={4: 0.75, 5: 0.25}))
    (found,) = GreedySearch(forbidden=[[4]])(decoder, memory())[0]
    assert found.tokens == [5]
    assert found.log_probs.exp().tolist() == pytest.approx([0.25])


def test_words_of_a_word_tokenizer() -> None:
    tokenizer = WordTokenizer().fit(["a red dog"])
    a, red, dog = tokenizer.encode("a red dog")
    assert whole_words(["red", "a dog"], tokenizer, "search.forbidden") == [[(red,)], [(a, dog)]]


def test_word_of_characters_is_a_whole_word() -> None:
    tokenizer = CharacterTokenizer().fit(["category cat"])
    (sequences,) = whole_words(["cat"], tokenizer, "search.forbidden")

    def holds(text: str) -> bool:
        ids = (BOS, *tokenizer.encode(text), EOS)
        return any(ids[i : i + len(s)] == s for s in sequences for i in range(len(ids)))

    assert [text for text in ("cat", "a cat", "cat ate", "category", "tcat", "") if holds(text)] == [
        "cat",
        "a cat",
        "cat ate",
    ]


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer(), WordTokenizer()])
def test_unknown_words_are_named(tokenizer) -> None:
    tokenizer.fit(["a red dog"])
    with pytest.raises(ValueError, match=r"search.forbidden: 'zebra', 'quiz'; expected words of the run's vocabulary"):
        whole_words(["dog", "zebra", "quiz"], tokenizer, "search.forbidden")


@pytest.mark.parametrize("search", [GreedySearch, BeamSearch, DiverseBeamSearch, NucleusSampling])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_length", 0),
        ("max_length", -3),
        ("max_length_ratio", 0.0),
        ("min_length", -1),
        ("no_repeat_ngram", -1),
        ("eos_threshold", 0.0),
        ("forbidden", [[]]),
        ("forbidden", ["dog"]),
    ],
)
def test_settings_out_of_range_name_their_key(search, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"search\.{key}: "):
        search(**{key: value})


@pytest.mark.parametrize(
    ("search", "arguments"),
    [
        (BeamSearch, {"width": 0}),
        (BeamSearch, {"length_penalty": -1.0}),
        (BeamSearch, {"ctc_weight": 1.0}),
        (BeamSearch, {"ctc_weight": -0.1}),
        (BeamSearch, {"ctc_candidates": 1}),
        (BeamSearch, {"language_model_weight": 0.3}),
        (BeamSearch, {"coverage_threshold": 0.0}),
        (BeamSearch, {"max_attention_jump": 0}),
        (DiverseBeamSearch, {"num_groups": 4}),
        (DiverseBeamSearch, {"diversity": -1.0}),
        (NucleusSampling, {"num_samples": 0}),
        (NucleusSampling, {"temperature": 0.0}),
        (NucleusSampling, {"top_p": 1.5}),
        (NucleusSampling, {"top_p": 0.0}),
    ],
)
def test_settings_of_one_search_name_their_key(search, arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"search\.{next(iter(arguments))}: "):
        search(**arguments)
