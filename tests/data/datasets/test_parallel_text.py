"""Translations in two files, one sentence per line."""

from __future__ import annotations

from pathlib import Path

import pytest

from multimodal_attn.data.datasets.parallel_text import ParallelText
from multimodal_attn.data.loading.collate import Collate
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.types import EOS, PAD, UNK, Example, Target


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "train.de").write_text("Ein  Hund.\nZwei\u2028Hunde\n\nDrei Hunde laufen um die Ecke\n", "utf-8")
    (tmp_path / "train.en").write_text("\ufeffA dog.\r\nTwo dogs\r\nNothing\r\nThree dogs run\r\n", "utf-8")
    (tmp_path / "valid.de").write_text("Vier Hunde laufen um die Ecke", "utf-8")
    (tmp_path / "valid.en").write_text("Four dogs", "utf-8")
    return tmp_path


def test_pairs_keep_case_and_punctuation(corpus: Path) -> None:
    train = ParallelText("train", corpus, "de", "en")
    assert [train[index] for index in range(3)] == [
        Example("train:1", "Ein Hund.", (Target("A dog."),)),
        Example("train:2", "Zwei Hunde", (Target("Two dogs"),)),
        Example("train:4", "Drei Hunde laufen um die Ecke", (Target("Three dogs run"),)),
    ]
    assert train.source_texts()[1] == "Zwei Hunde"
    assert train.texts() == ["A dog.", "Two dogs", "Three dogs run"]
    assert train.entries[2][:2] == ("train:4", (Target("Three dogs run"),))
    assert train.lengths() == [9, 10, 29]
    assert [(Path(error.path).name, error.reason) for error in train.skipped] == [("train.de:3", "one side is empty")]


def test_either_side_is_normalized_as_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "train.long").write_text("Max sees Ida, and Ida sees nobody.\n", "utf-8")
    (tmp_path / "train.short").write_text("He sees Ida.\n", "utf-8")
    train = ParallelText("train", tmp_path, "long", "short", source_normalize="spaced", normalize="spaced")
    source, target = "max sees ida , and ida sees nobody .", Target("he sees ida .", names=("ida",))
    assert train[0] == Example("train:1", source, (target,))
    assert (train.texts(), train.lengths()) == (["he sees ida ."], [len(source)])


def test_long_pairs_are_left_out_of_training_alone(corpus: Path) -> None:
    train = ParallelText("train", corpus, "de", "en", max_words=5)
    assert len(train) == 2
    assert train.skipped[-1].reason == "6 words, more than data.max_words=5"
    assert len(ParallelText("val", corpus, "de", "en", max_words=5)) == 1  # in a file that is called valid.de


def test_both_sides_come_from_files_of_one_name(corpus: Path) -> None:
    (corpus / "val.de").write_text("Von einem anderen Paar\n", "utf-8")  # whose other side is French
    (corpus / "val.fr").write_text("D'une autre paire\n", "utf-8")
    assert ParallelText("val", corpus, "de", "en")[0].targets == (Target("Four dogs"),)


def test_a_lone_carriage_return_ends_no_line(tmp_path: Path) -> None:
    (tmp_path / "train.de").write_bytes(b"eins\nzwei\rzwei\ndrei\nvier\n")
    (tmp_path / "train.en").write_bytes(b"one\ntwo two\nthree\nfour\r four\r\n")
    train = ParallelText("train", tmp_path, "de", "en")
    assert train.source_texts() == ["eins", "zwei zwei", "drei", "vier"]
    assert train.texts() == ["one", "two two", "three", "four four"]


def test_what_is_wrong_is_named(corpus: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.root: .* has no test\.de and test\.en; expected one sentence per"):
        ParallelText("test", corpus, "de", "en")
    with pytest.raises(ValueError, match=r"has no val\.de and val\.fr or valid\.de and"):
        ParallelText("val", corpus, "de", "fr")
    with pytest.raises(ValueError, match=r"data\.target_language: 'de'; expected another"):
        ParallelText("train", corpus, "de", "de")
    (corpus / "train.en").write_text("A dog.\n")
    with pytest.raises(ValueError, match=r"train\.de' has 4 lines and 'train\.en' 1"):
        ParallelText("train", corpus, "de", "en")
    (corpus / "train.en").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"data\.root: .*train\.en' is UTF-16; save it as UTF-8"):
        ParallelText("train", corpus, "de", "en")


def test_source_texts_become_tokens_that_end(corpus: Path) -> None:
    train = ParallelText("train", corpus, "de", "en")
    tokenizer = WordTokenizer().fit(train.texts())
    source_tokenizer = WordTokenizer().fit(["Ein Zwei Hunde"])
    batch = Collate(tokenizer, source_tokenizer)([train[0], train[1]])
    one, hunde, two = (source_tokenizer.encode(word)[0] for word in ("Ein", "Hunde", "Zwei"))
    assert batch.source.tolist() == [[one, UNK, EOS], [two, hunde, EOS]]
    assert batch.source_lengths.tolist() == [3, 3]
    shorter = Collate(tokenizer, source_tokenizer)([train[0], Example("x", "Ein")])
    assert shorter.source[1].tolist() == [one, EOS, PAD]
    assert shorter.source_lengths.tolist() == [3, 2]


def test_either_vocabulary_is_that_of_its_language(corpus: Path) -> None:
    def make(split: str) -> ParallelText:
        return ParallelText(split, corpus, "de", "en")

    with pytest.raises(ValueError, match=r"data\.max_seconds: 3; expected null, as a text file has no seconds"):
        DataModule(make, WordTokenizer(), WordTokenizer(), max_seconds=3).fit_tokenizers()
    data = DataModule(make, WordTokenizer(), WordTokenizer())
    data.fit_tokenizers()
    assert data.source_tokenizer is not None
    assert UNK not in data.source_tokenizer.encode("Drei Hunde")
    assert UNK not in data.tokenizer.encode("Three dogs")
    assert data.tokenizer.encode("Drei") == data.source_tokenizer.encode("Four") == [UNK]
