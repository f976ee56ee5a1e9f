from __future__ import annotations

import base64
import json
import re
from random import Random

import pytest

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.copying_word import CopyingWordTokenizer
from multimodal_attn.data.tokenizers.sentencepiece import SentencePieceTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.parts import part

TEXTS = ["a dog runs", "a cat", "the dog"]


@pytest.fixture(params=[WordTokenizer, CopyingWordTokenizer, CharacterTokenizer, SentencePieceTokenizer])
def fitted(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param is SentencePieceTokenizer:
        pytest.importorskip("sentencepiece")
    return request.param().fit(TEXTS)


def test_special_ids_are_the_first_four(fitted: Tokenizer) -> None:
    assert (fitted.pad_id, fitted.bos_id, fitted.eos_id, fitted.unk_id) == (0, 1, 2, 3)
    assert fitted.pieces([0, 1, 2, 3]) == ["<pad>", "<bos>", "<eos>", "<unk>"]
    assert min(i for text in TEXTS for i in fitted.encode(text)) == 4
    assert max(i for text in TEXTS for i in fitted.encode(text)) == len(fitted) - 1


def test_decode_undoes_encode_and_drops_special_ids(fitted: Tokenizer) -> None:
    for text in TEXTS:
        ids = fitted.encode(text)
        assert fitted.decode(ids) == text
        assert fitted.decode([1, *ids, 2, 0, 0]) == text


def test_word_spans_cover_the_words_of_the_decoded_text(fitted: Tokenizer) -> None:
    ids = [1, *fitted.encode("the dog runs"), 2, 0]
    spans = fitted.word_spans(ids)
    assert [fitted.decode(ids[start:end]) for start, end in spans] == fitted.decode(ids).split()
    assert fitted.word_spans([1, 2, 0]) == []


def test_state_is_plain_and_rebuilds_the_same_tokenizer(fitted: Tokenizer) -> None:
    state = json.loads(json.dumps(fitted.state()))
    rebuilt = type(fitted).from_state(state)
    assert rebuilt.state() == fitted.state()
    assert [rebuilt.encode(text) for text in TEXTS] == [fitted.encode(text) for text in TEXTS]


def test_vocabulary_does_not_depend_on_the_order_of_texts(fitted: Tokenizer) -> None:
    assert type(fitted)().fit(reversed(TEXTS)).state() == fitted.state()


def test_fitting_again_replaces_the_vocabulary(fitted: Tokenizer) -> None:
    assert fitted.fit(["x"]).state() == type(fitted)().fit(["x"]).state()


def test_symbols_are_tokens_however_rare(fitted: Tokenizer) -> None:
    fitted.fit(TEXTS, symbols=("①", "②"))
    rebuilt = type(fitted).from_state(fitted.state())
    for tokenizer in (fitted, rebuilt):
        ids = tokenizer.encode("a ① dog ②")
        found = tokenizer.pieces(ids)  # with the space that a piece of sentencepiece begins with, in one token
        assert sum("①" in piece for piece in found) == sum("②" in piece for piece in found) == 1
        if isinstance(tokenizer, SentencePieceTokenizer):
            assert {"␣①", "␣②"} <= set(found)
        assert tokenizer.unk_id not in ids
        assert tokenizer.decode(ids) == "a ① dog ②"
    assert fitted.fit(TEXTS).state() == type(fitted)().fit(TEXTS).state()


def test_symbols_are_no_part_of_a_rarity_or_a_limit() -> None:
    tokenizer = WordTokenizer(min_count=2, max_size=1).fit(["a a b b b ①"], symbols=("①", "②"))
    assert tokenizer.state()["words"] == ["①", "②", "b"]


def test_fitting_on_nothing_is_refused(fitted: Tokenizer) -> None:
    with pytest.raises(ValueError, match="tokenizer"):
        fitted.fit([""])


def test_rare_words_are_unknown_and_stay_visible() -> None:
    tokenizer = WordTokenizer(min_count=2).fit(TEXTS)
    assert len(tokenizer) == 4 + 2
    assert tokenizer.encode("a cat dog") == [4, 3, 5]
    assert tokenizer.decode([4, 3, 5]) == "a <unk> dog"
    assert tokenizer.word_spans([1, 4, 3, 5, 2]) == [(1, 2), (2, 3), (3, 4)]


def test_max_size_keeps_the_most_frequent_words() -> None:
    tokenizer = WordTokenizer(max_size=1).fit(["b b a", "c"])
    assert tokenizer.pieces([4]) == ["b"]
    assert len(tokenizer) == 5
    assert WordTokenizer.from_state(tokenizer.state()).max_size == 1


def test_words_that_look_like_special_pieces_are_unknown() -> None:
    tokenizer = WordTokenizer().fit(["<eos> a <pad>"])
    assert tokenizer.encode("<eos> a <pad>") == [3, 4, 3]


@pytest.mark.parametrize(
    ("target", "key", "value"),
    [
        ("word.WordTokenizer", "min_count", 0),
        ("word.WordTokenizer", "max_size", 0),
        ("sentencepiece.SentencePieceTokenizer", "vocab_size", 4),
        ("sentencepiece.SentencePieceTokenizer", "model_type", "word"),
    ],
)
def test_settings_out_of_range_are_named(target: str, key: str, value: object) -> None:
    node = {"_target_": f"multimodal_attn.data.tokenizers.{target}", key: value}
    with pytest.raises(ValueError, match=rf"^tokenizer\.{key}: {value!r}; expected"):
        part("tokenizer", node, Tokenizer)  # type: ignore[type-abstract]


def test_character_words_are_runs_between_spaces() -> None:
    tokenizer = CharacterTokenizer().fit(["ab c"])
    ids = tokenizer.encode(" ab  c")
    assert tokenizer.pieces(ids) == ["\u2423", "a", "b", "\u2423", "\u2423", "c"]
    assert tokenizer.word_spans(ids) == [(1, 3), (5, 6)]
    # <pad> between two letters does not split their word, as it leaves no trace in the text.
    a, b = tokenizer.encode("ab")
    assert tokenizer.decode([a, 0, b]) == "ab"
    assert tokenizer.word_spans([a, 0, b]) == [(0, 3)]


def test_an_unknown_character_counts_one_character() -> None:
    tokenizer = CharacterTokenizer().fit(["ab"])
    assert tokenizer.encode("azb")[1] == tokenizer.unk_id
    assert len(tokenizer.decode(tokenizer.encode("azb"))) == 3


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_subwords_are_shared_between_words(model_type: str) -> None:
    pytest.importorskip("sentencepiece")
    texts = [f"{verb}{ending}" for verb in ("walk", "talk", "jump") for ending in ("", "ing", "ed", "er")] * 20
    tokenizer = SentencePieceTokenizer(30, model_type).fit(texts)
    assert 20 < len(tokenizer) <= 30
    ids = tokenizer.encode("jumping walker")
    assert tokenizer.decode(ids) == "jumping walker"
    assert "".join(tokenizer.pieces(ids)) == "\u2423jumping\u2423walker"
    assert len(ids) < len("jumping walker") - 3
    (first, middle), (start, end) = tokenizer.word_spans(ids)
    assert [tokenizer.decode(ids[first:middle]), tokenizer.decode(ids[start:end])] == ["jumping", "walker"]
    # Nothing but a space may lie between or before the words, and nothing after them.
    assert tokenizer.decode(ids[:first]) == tokenizer.decode(ids[middle:start]) == ""
    assert end == len(ids)


def test_unknown_part_of_a_word_stays_visible() -> None:
    pytest.importorskip("sentencepiece")
    tokenizer = SentencePieceTokenizer().fit(TEXTS)
    ids = tokenizer.encode("dqg")
    assert tokenizer.unk_id in ids
    assert tokenizer.decode(ids) == "d\N{REPLACEMENT CHARACTER}g"
    assert len(tokenizer.word_spans(ids)) == 1


def test_subword_settings_are_checked() -> None:
    pytest.importorskip("sentencepiece")
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size: 8; .*smaller than required_chars"):
        SentencePieceTokenizer(vocab_size=8).fit(TEXTS)
    with pytest.raises(ValueError, match="fit it first"):
        SentencePieceTokenizer().encode("a")


def outcome(state: dict, has_model: bool) -> str:
    """What becomes of a tokenizer in a state: "works", or the error."""
    try:
        tokenizer = SentencePieceTokenizer.from_state(state)
        tokenizer.decode(tokenizer.encode("dog") if has_model else [])
    except ValueError as error:
        return str(error)
    return "works"


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_subword_model_is_a_clean_error_or_works(seed: int) -> None:
    pytest.importorskip("sentencepiece")
    state = SentencePieceTokenizer(30).fit(TEXTS).state()
    random, content = Random(seed), bytearray(base64.b64decode(state["model"]))
    if seed % 3 == 0:
        del content[random.randrange(len(content)) :]
    for _ in range(seed % 7):
        if content:
            content[random.randrange(len(content))] = random.randrange(256)
    state["model"] = base64.b64encode(bytes(content)).decode()
    assert re.match("works$|tokenizer: the sentencepiece model", outcome(state, bool(content)))


@pytest.mark.parametrize(
    ("kind", "state", "message"),
    [
        (SentencePieceTokenizer, {}, "no sentencepiece model of a sane size"),
        (SentencePieceTokenizer, {"model": "A" * (1 << 27)}, "no sentencepiece model of a sane size"),
        (SentencePieceTokenizer, {"model": "?!"}, "the sentencepiece model is damaged"),
        (SentencePieceTokenizer, {"model": base64.b64encode(b"torn").decode()}, "the sentencepiece model is damaged"),
        (WordTokenizer, {"words": "abc"}, "no list of texts 'words'"),
        (WordTokenizer, {"words": ["a", 5]}, "no list of texts 'words'"),
        (WordTokenizer, {"words": ["a", "a"]}, "a text twice in 'words'"),
        (WordTokenizer, {"words": ["a b"]}, "white space in a word"),
        (CharacterTokenizer, {}, "no list of texts 'characters'"),
        (CharacterTokenizer, {"characters": ["ab"]}, "more than one character"),
    ],
)
def test_what_no_tokenizer_has_written_is_refused(kind: type[Tokenizer], state: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"tokenizer: .*{message}"):
        kind.from_state(state)


def test_words_of_a_source_have_ids_behind_the_vocabulary() -> None:
    fitted = CopyingWordTokenizer().fit(TEXTS)
    own = fitted.of_source("the dog met Rex and Ida and Rex")
    assert len(own) == len(fitted) == 9
    assert own.encode("Rex saw a dog and Ida") == [10, 3, *fitted.encode("a dog"), 11, 12]
    assert own.decode([1, 10, 2, 12, 0]) == "Rex Ida"
    assert own.pieces([9, 12, 13]) == ["met", "Ida", "<unk>"]  # no word of this source has the last
    assert own.word_spans([1, 10, 12]) == [(1, 2), (2, 3)]
    assert own.of_source("Bo").encode("Rex Bo") == [3, 9]
    assert fitted.encode("Rex") == [3]
    assert own.of_source("<eos> x").encode("<eos> x") == [3, 9]  # what spells a special piece is none


def test_other_tokenizers_are_the_same_for_all_sources(fitted: Tokenizer) -> None:
    if not fitted.copies:
        assert fitted.of_source("Rex") is fitted
