"""Forced words: their tables by hand, the best of all texts that hold them, and what happens where they do not fit."""

from __future__ import annotations

import itertools

import pytest
import torch

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.search import BeamSearch, GreedySearch
from multimodal_attn.search.automaton import Automaton
from multimodal_attn.search.rules.forced_words import ForcedWords
from multimodal_attn.search.words import whole_words
from multimodal_attn.types import BOS, EOS, UNK
from tests.contracts.test_decoder import make
from tests.contracts.test_search import alone, sources, texts
from tests.search import test_beam
from tests.search.scripted import Numbers, TableDecoder, TableLanguageModel, memory, model_of, search_of, table
from tests.search.test_beam import DECODER_ALONE, POSITIONS, VOCAB, WHOLE, exhaustive, random


def holds(text: tuple[int, ...], words: list[list[tuple[int, ...]]]) -> bool:
    path = (BOS, *text, EOS)
    return all(any(path[i : i + len(s)] == s for s in word for i in range(len(path))) for word in words)


def follow(words: list[list[tuple[int, ...]]], *tokens: int) -> tuple[list[int], int]:
    """How far each sequence is, and how many tokens are lacking, after <bos> and ``tokens``."""
    automaton = Automaton([words], VOCAB)
    progress = automaton.start((1,))
    for token in tokens:
        progress = automaton.advance(progress, torch.tensor([token]))
    return progress[0].tolist(), int(automaton.lacking(progress))


def test_progress_falls_back_as_far_as_the_text_ends_in_a_beginning() -> None:
    words = [[(4, 4, 5)]]
    steps = [follow(words, *[4, 4, 4, 6, 4, 4, 5, 6, 4][:length])[0][0] for length in range(10)]
    assert steps == [0, 1, 2, 2, 0, 1, 2, 3, 3, 3]
    assert [follow(words, *[4, 4, 5][:length])[1] for length in range(4)] == [3, 2, 1, 0]


def test_lacking_tokens_count_only_one_begun_word() -> None:
    words = [[(4, 5)], [(4, 6, 4)]]
    assert follow(words) == ([0, 0], 5)
    assert follow(words, 4) == ([1, 1], 4)
    assert follow(words, 4, 6) == ([0, 2], 3)
    assert follow(words, 4, 6, 4) == ([1, 3], 1)  # the last token begins the other word
    assert follow(words, 4, 6, 4, 5) == ([2, 3], 0)
    assert follow(words, 4, 5, 6) == ([2, 0], 3)


def test_any_way_to_write_a_word_will_do() -> None:
    words = [[(BOS, 4, 6), (6, 4, EOS), (6, 4, 6)]]
    assert follow(words)[1] == 2  # the start is the first token of the first way
    assert follow(words, 4, 6)[1] == 0
    assert follow(words, 5, 6)[1] == 2
    assert follow(words, 5, 6, 4, EOS)[1] == 0
    assert follow(words, 5, 6, 4, 6)[1] == 0
    assert follow(words, 5, 6, 4, 5)[1] == 3


@pytest.mark.parametrize(
    ("words", "space"),
    [
        (["5"], None),
        (["4", "6"], None),
        (["5 4"], None),
        (["4 4 6", "6"], None),
        (["5"], 6),  # a token between start, end and spaces
        (["4", "5"], 6),
    ],
)
@pytest.mark.parametrize("changed", [{}, {"ctc_weight": 0.3, "language_model_weight": 0.5, "coverage_weight": 0.2}])
def test_wide_beam_finds_the_best_of_all_texts_that_hold_the_words(
    words: list[str], space: int | None, changed: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_beam, "LONGEST", 5)
    settings, ways = DECODER_ALONE | changed, whole_words(words, Numbers(space), "")  # type: ignore[arg-type]
    expected = {text: sum(parts.values()) for text, parts in exhaustive(settings).items() if holds(text, ways)}
    assert 3 < len(expected) < 121
    language_model = TableLanguageModel(random(VOCAB, VOCAB, seed=2)) if changed else None
    width = 400  # so that none of the 121 texts is ever dropped
    settings |= {"width": width, "max_length": 5, "forced_words": words}
    search = search_of("beam", WHOLE, Numbers(space), language_model, **settings)
    found = search(WHOLE, memory(POSITIONS))[0]
    assert {tuple(h.tokens): h.score for h in found} == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_narrow_beam_keeps_a_word_that_it_would_drop(width: int) -> None:
    """4 5 is what the model writes; 6 7 has a millionth, most of it paid with the first token."""
    rows = table(8, t1={4: 0.9, 5: 0.1}, t4={5: 0.999998, 6: 1e-6, 7: 1e-6}, t5={EOS: 1.0}, t6={7: 0.5, 4: 0.5})
    model = model_of(TableDecoder(rows))
    assert BeamSearch(width)(model, memory())[0][0].tokens == [4, 5]
    found = search_of("beam", width=width, forced_words=["6 7"], max_length=9)(model, memory())[0]
    assert found[0].tokens == [4, 6, 7]
    assert all(holds(tuple(h.tokens), [[(6, 7)]]) for h in found)
    assert len(found) <= width


@pytest.mark.parametrize("attention", ["additive", "location"])
def test_same_texts_at_any_batch_size_with_the_attention_of_their_words(attention: str) -> None:
    decoder, source = make("listen_attend_spell", attention), sources()
    rules = {"forced_words": ["9 4", "8"], "no_repeat_ngram": 2, "min_length": 4, "forbidden": ["5"]}
    search, model = search_of("beam", width=3, max_length=12, **rules), model_of(decoder)
    together = search(model, source)
    assert [texts(search(model, alone(source, index)))[0] for index in range(8)] == texts(together)
    for index, found in enumerate(together):
        for hypothesis in found:
            assert {8, 9} <= set(hypothesis.tokens)
            assert 5 not in hypothesis.tokens
            length = len(hypothesis.tokens)
            tokens = torch.tensor([[[BOS, *hypothesis.tokens, EOS]]])
            output = decoder(tokens, torch.ones_like(tokens, dtype=torch.bool), source.select(slice(index, index + 1)))
            torch.testing.assert_close(hypothesis.weights, output.weights[0, 0, :length])


def test_what_does_not_fit_in_time_is_cut_off_as_far_as_it_came() -> None:
    found = search_of("beam", width=4, forced_words=["4 5 6"], max_length=2)(WHOLE, memory())[0]
    assert found[0].tokens == [4, 5]
    assert all(h.flags == ["hit_max_length"] for h in found)
    # A text that has the words and is cut off is not taken for one that lacks them.
    found = search_of("beam", width=4, forced_words=["4 5 6"], max_length=3)(WHOLE, memory())[0]
    assert [h.tokens for h in found] == [[4, 5, 6]]


def test_text_to_which_nothing_is_left_ends_without_the_word() -> None:
    rules = {"forced_words": ["4"], "forbidden": ["4 ", "6"], "no_repeat_ngram": 1}  # written otherwise, or refused
    search = search_of("beam", width=3, max_length=9, **rules)
    assert [h.tokens for h in search(WHOLE, memory())[0]] == [[5]]


def test_forced_word_of_characters_is_a_whole_word() -> None:
    tokenizer = CharacterTokenizer().fit(["category cat or act"])
    model = model_of(TableDecoder(random(len(tokenizer), len(tokenizer), seed=4)))
    search = search_of("beam", model, tokenizer, width=2, forced_words=["cat", "or"], max_length=30)
    found = search(model, memory())[0]
    assert found
    assert all({"cat", "or"} <= set(tokenizer.decode(h.tokens).split()) for h in found)
    assert not any(h.flags for h in found)


def test_words_of_the_command_line() -> None:
    tokenizer = WordTokenizer().fit(["a red dog"])
    model = model_of(TableDecoder(torch.zeros(len(tokenizer), len(tokenizer))))
    search = search_of("beam", model, tokenizer, width=2, max_length=9, forced_words=["red", "a dog"])
    for hypothesis in search(model, memory())[0]:
        assert "red" in tokenizer.decode(hypothesis.tokens).split()
        assert "a dog" in tokenizer.decode(hypothesis.tokens)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"forced_words": ["zebra", "dog"]}, r"search\.forced_words: 'zebra'; expected words of the run's vocabulary"),
        ({"forced_words": ["dog"], "forbidden": ["red", "dog"]}, r"forced_words: dog stands in search\.forbidden"),
        ({"forced_words": [""]}, r"search\.forced_words\[0\]: ''; expected a text that is not empty"),
    ],
)
def test_what_cannot_be_forced_is_named(settings: dict[str, object], message: str) -> None:
    tokenizer = WordTokenizer().fit(["a red dog"])
    assert UNK in tokenizer.encode("zebra")
    with pytest.raises(ValueError, match=message):
        search_of("beam", None, tokenizer, **settings)


def test_rows_that_do_not_compete_cannot_be_forced() -> None:
    with pytest.raises(ValueError, match=r"search\.forced_words: \['dog'\]; expected none, or search=beam"):
        GreedySearch(rules=[ForcedWords(["dog"])])


def test_every_order_of_words_is_tried() -> None:
    """Each order of three words is the best one under a model that likes just this order."""
    for order in itertools.permutations((4, 5, 6)):
        likes = {f"t{a}": {b: 0.9, 7: 0.1} for a, b in itertools.pairwise((BOS, *order))}
        model = model_of(TableDecoder(table(8, **likes, t7={4: 0.3, 5: 0.3, 6: 0.3, EOS: 0.1})))
        found = search_of("beam", width=2, forced_words=["4", "5", "6"], max_length=12)(model, memory())[0]
        assert found[0].tokens == list(order)
