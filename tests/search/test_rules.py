"""What may come next under each rule, by hand-made scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.search import GreedySearch, Search
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import apply_rules, forbid_specials
from multimodal_attn.search.words import whole_words
from multimodal_attn.types import BOS, EOS
from tests.search.scripted import TableDecoder, memory, model_of, search_of, table

VOCAB = 8


def apply(search: Search, scores: Tensor, history: Tensor) -> Tensor:
    """The scores (B, K, V) after the rules of a search, which sees the history only if one needs it."""
    seen = history if any(rule.needs_history for rule in search.rules) else None
    attention = AttentionStep(torch.zeros(()), torch.zeros(()), None)
    totals = torch.zeros(scores.shape[:2])
    rules = [rule.start(model_of(None), memory(), 1) for rule in search.rules]
    apply_rules(rules, scores, Step(history.shape[-1] - 1, history[..., -1], seen, attention, totals))
    return scores


def allowed(search: Search, *tokens: int, scores: Tensor | None = None) -> list[int]:
    """What may follow <bos> and ``tokens``."""
    scores = forbid_specials(torch.zeros(VOCAB) if scores is None else scores).log_softmax(-1)
    left = apply(search, scores[None, None], torch.tensor([[[BOS, *tokens]]]))
    return left[0, 0].isfinite().nonzero()[:, 0].tolist()


def test_nothing_is_masked_by_default() -> None:
    search = search_of("greedy")
    assert search.rules == []
    assert allowed(search, 4, 4, 4) == [EOS, 4, 5, 6, 7]


def test_minimum_length_counts_tokens_before_the_end() -> None:
    search = search_of("greedy", min_length=2)
    assert allowed(search) == [4, 5, 6, 7]
    assert allowed(search, 4) == [4, 5, 6, 7]
    assert allowed(search, 4, 4) == [EOS, 4, 5, 6, 7]


def test_no_ngram_comes_twice() -> None:
    bigrams = search_of("greedy", no_repeat_ngram=2)
    assert allowed(bigrams, 4, 5, 6) == [EOS, 4, 5, 6, 7]
    assert allowed(bigrams, 4, 5, 6, 4) == [EOS, 4, 6, 7]
    assert allowed(bigrams, 4, 4) == [EOS, 5, 6, 7]
    assert allowed(search_of("greedy", no_repeat_ngram=1), 4, 6) == [EOS, 5, 7]
    trigrams = search_of("greedy", no_repeat_ngram=3)
    assert allowed(trigrams, 4, 5) == [EOS, 4, 5, 6, 7]
    assert allowed(trigrams, 4, 5, 6, 4, 5) == [EOS, 4, 5, 7]


def test_rows_are_masked_each_by_its_own_history() -> None:
    history = torch.tensor([[[BOS, 4, 5, 4], [BOS, 4, 5, 6]]])
    masked = apply(search_of("greedy", no_repeat_ngram=2), torch.zeros(1, 2, VOCAB), history) == -torch.inf
    assert masked.nonzero().tolist() == [[0, 0, 0], [0, 0, 5], [0, 1, 0]]  # padding is out of the choice anyway


def test_texts_begin_with_a_prefix() -> None:
    search = search_of("greedy", prefix="5 6")
    assert allowed(search) == [5]
    assert allowed(search, 5) == [6]
    assert allowed(search, 5, 6) == [EOS, 4, 5, 6, 7]
    with pytest.raises(ValueError, match=r"search.prefix: '3'; expected words"):
        search_of("greedy", prefix="3")


@pytest.mark.parametrize("name", ["beam", "diverse_beam", "greedy", "sampling"])
def test_every_search_goes_on_from_a_prefix(name: str) -> None:
    logits = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(0))
    found = search_of(name, prefix="7 5", max_length=6)(model_of(TableDecoder(logits)), memory(batch=2))
    assert all(text.tokens[:2] == [7, 5] for texts in found for text in texts)


def test_forbidden_sequences() -> None:
    search = search_of("greedy", forbidden=["5", "6 7"])
    assert allowed(search, 4) == [EOS, 4, 6, 7]
    assert allowed(search, 4, 6) == [EOS, 4, 6]
    assert allowed(search, 6, 4) == [EOS, 4, 6, 7]
    assert allowed(search_of("greedy", forbidden=["1 4"])) == [EOS, 5, 6, 7]
    assert allowed(search_of("greedy", forbidden=["4 5 6 7"]), 4) == [EOS, 4, 5, 6, 7]


def test_only_what_looks_back_makes_a_search_carry_its_texts() -> None:
    single = search_of("greedy", forbidden=["5", 6], min_length=2, eos_threshold=0.5)
    assert not any(rule.needs_history for rule in single.rules)
    assert any(rule.needs_history for rule in search_of("greedy", forbidden=["5", "6 7"]).rules)


def test_end_must_beat_the_best_other_token() -> None:
    probabilities = torch.full((VOCAB,), 1e-9)
    probabilities[EOS], probabilities[4], probabilities[5] = 0.3, 0.4, 0.3

    def may_end(eos_threshold: float) -> bool:
        return EOS in allowed(search_of("greedy", eos_threshold=eos_threshold), scores=probabilities.log())

    assert not may_end(1.0)
    # log 0.3 = -1.204 against 1.5 * log 0.4 = -1.374
    assert may_end(1.5)
    probabilities[EOS], probabilities[4] = 0.4, 0.3
    assert may_end(1.0)
    # 0.5 * log 0.3 = -0.602 against log 0.4 = -0.916
    assert not may_end(0.5)


def test_end_is_compared_by_probabilities_and_not_by_what_scores_exceed_them_by() -> None:
    rule = search_of("greedy", eos_threshold=0.5).rules[0]
    scores = torch.tensor([0.05, 0.05, 0.5, 0.2, 0.2]).log() + 7
    scores = torch.cat([scores, torch.full((3,), -torch.inf)])[None, None]
    attention = AttentionStep(torch.zeros(()), torch.zeros(()), None)
    step = Step(0, torch.tensor([[BOS]]), None, attention, torch.zeros(1, 1), torch.full((1, 1), 7.0))
    rule.apply(scores, step)  # log 0.5 = -0.69 against 0.5 * log 0.2 = -0.80
    assert scores[0, 0, EOS].isfinite()
    scores[..., EOS] = torch.tensor(0.4).log() + 7  # -0.92
    rule.apply(scores, step)
    assert not scores[0, 0, EOS].isfinite()


def test_text_ends_where_no_token_is_left() -> None:
    search = search_of("greedy", min_length=9, forbidden=["4", "5", "6"], no_repeat_ngram=1)
    assert allowed(search) == [7]
    assert allowed(search, 7) == [EOS]


def test_scores_stay_what_the_model_gives() -> None:
    model = model_of(TableDecoder(table(6, t1={4: 0.75, 5: 0.25})))
    (found,) = search_of("greedy", forbidden=["4"])(model, memory())[0]
    assert found.tokens == [5]
    assert found.log_probs.exp().tolist() == pytest.approx([0.25])


def test_what_decides_between_rows_is_for_beams() -> None:
    jump = search_of("beam", max_attention_jump=3).rules
    with pytest.raises(ValueError, match=r"search\.max_attention_jump: 3; expected none, or search=beam"):
        GreedySearch(rules=jump)


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
