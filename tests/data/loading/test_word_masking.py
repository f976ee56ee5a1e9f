from __future__ import annotations

from random import Random

import pytest

from multimodal_attn.data.loading.word_masking import WordMasking, draws
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.types import MASK

TEXT = "one two three four five six seven eight nine ten eleven twelve thirteen"


def test_words_are_hidden_whole() -> None:
    tokenizer = CharacterTokenizer().fit([TEXT])
    tokens = tokenizer.encode(TEXT)
    spans = tokenizer.word_spans(tokens)
    for seed in range(20):
        found = WordMasking(0.3, masked=1, random=0)(tokens, tokenizer, Random(seed))
        assert len(found.words) == 4
        assert set(found.words) < set(spans)
        inside = {index for first, stop in found.words for index in range(first, stop)}
        assert found.tokens == [MASK if index in inside else token for index, token in enumerate(tokens)]


def test_shares_of_hidden_replaced_and_untouched_words() -> None:
    tokenizer = WordTokenizer().fit([TEXT])
    tokens, kinds = tokenizer.encode(TEXT), []
    for seed in range(2000):
        found = WordMasking()(tokens, tokenizer, Random(seed))
        assert len(found.words) == 2  # 15 % of 13
        for first, _ in found.words:
            now = found.tokens[first]
            kinds.append("masked" if now == MASK else "same" if now == tokens[first] else "random")
            assert now == MASK or now > 3
    shares = [kinds.count(kind) / len(kinds) for kind in ("masked", "random", "same")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)


def test_unknown_words_are_left_alone() -> None:
    tokenizer = WordTokenizer().fit(["known"])
    found = WordMasking(1.0, 1, 0)(tokenizer.encode("strange known strange"), tokenizer, Random(0))
    assert found.words == [(1, 2)]
    assert WordMasking()(tokenizer.encode("strange"), tokenizer, Random(0)).words == []


def test_draws_depend_on_seed_epoch_and_key() -> None:
    values = [draws(*given).random() for given in ((0, "1", "a"), (1, "1", "a"), (0, "2", "a"), (0, "1", "b"))]
    assert len(set(values)) == 4
    assert draws(0, "1", "a").random() == values[0]


def test_more_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"masking.random: 0.3; expected at most 0.2, as masking.masked is 0.8"):
        WordMasking(random=0.3)
