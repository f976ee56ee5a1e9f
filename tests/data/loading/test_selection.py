from __future__ import annotations

import pytest
import torch

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.loading.selection import Selection, outside
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.training.objectives.ctc import CTC
from multimodal_attn.types import Example, Target, Timeline, UnreadableError
from tests.data.listed import Listed

TEXTS = ["abc", "aab", "ba", "abab"]


def source(split: str = "train") -> Listed:
    """Recordings of 0.3, 0.6, 0.9 and 1.2 seconds."""
    examples = [Example(f"{n}.wav", torch.ones(4800 * (n + 1)), (Target(text),)) for n, text in enumerate(TEXTS)]
    return Listed(examples, [UnreadableError("broken.wav", "no header")])


def test_what_remains_keeps_its_order_and_the_rest_is_listed() -> None:
    selection = Selection(source(), {2: "too loud", 0: "too short"})
    assert [selection[index].key for index in range(len(selection))] == ["1.wav", "3.wav"]
    assert selection.texts() == ["aab", "abab"]
    assert selection.lengths() == [0.6, 1.2]
    assert [(e.path, e.reason) for e in selection.skipped] == [
        ("broken.wav", "no header"),
        ("0.wav", "too short"),
        ("2.wav", "too loud"),
    ]


def test_selections_add_up() -> None:
    twice = Selection(Selection(source(), {0: "one"}), {1: "two"})
    assert [twice.entries[index].key for index in range(len(twice))] == ["1.wav", "3.wav"]
    assert [error.reason for error in twice.skipped] == ["no header", "one", "two"]


def test_limits_are_named_with_their_key() -> None:
    assert outside([0.3, 0.6, 1.2], 0.6, 1.0) == {
        0: "shorter than data.min_seconds=0.6 (0.30 s)",
        2: "longer than data.max_seconds=1 (1.20 s)",
    }
    assert outside([0.3, 1.2], None, None) == {}


def test_only_training_leaves_out() -> None:
    data = DataModule(source, WordTokenizer(), min_seconds=0.5, max_seconds=1.0)
    assert [data.source("train").lengths(), data.source("val").lengths()] == [[0.6, 0.9], [0.3, 0.6, 0.9, 1.2]]
    assert [error.path for error in data.skipped("train")] == ["broken.wav", "0.wav", "3.wav"]
    data.fit_tokenizers()
    assert len(data.tokenizer) == 4 + 2


def test_nothing_left_is_an_error_that_says_why() -> None:
    with pytest.raises(ValueError, match=r"every training example is left out\n.*no header\n.*data.max_seconds=0.1"):
        DataModule(source, WordTokenizer(), max_seconds=0.1).source("train")


def test_ctc_counts_a_blank_between_equal_tokens() -> None:
    tokenizer = CharacterTokenizer().fit(TEXTS)
    # Steps of 0.2 s: 2, 3, 5 and 6 positions for texts that need 3, 3 + 1, 2 and 4.
    data, objective = DataModule(source, tokenizer), CTC()
    reasons = objective.unusable(data, Timeline(0.2))
    assert reasons == {
        0: "its text is too long for CTC (needs 3 memory positions of 2)",
        1: "its text is too long for CTC (needs 4 memory positions of 3)",
    }
    assert objective.unusable(data, Timeline(0.1)) == {}


def test_only_recordings_have_seconds() -> None:
    texts = Listed([Example("0", "ein Hund", (Target("a dog"),))])
    with pytest.raises(ValueError, match=r"data.batch_seconds: 3; expected null, as a text file has no seconds"):
        DataModule(lambda split: texts, WordTokenizer(), batch_seconds=3).source("train")
