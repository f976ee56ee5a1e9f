from __future__ import annotations

import torch

from multimodal_attn.data.loading.collate import Collate, ReadOrSkip
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.types import BOS, EOS, PAD, Example, Target, UnreadableError
from tests.data.listed import Listed

TOKENIZER = WordTokenizer().fit(["a cat sat", "two dogs"])


TARGETS = (Target("a cat"), Target("two"), Target("dogs"))
RECORDINGS = Listed(
    [
        Example("0", torch.ones(4), TARGETS),
        UnreadableError("b.wav", "no header"),
        Example("2", torch.ones(6), TARGETS),
    ]
)


def test_unreadable_example_leaves_the_batch_and_is_listed() -> None:
    reader = ReadOrSkip(RECORDINGS)
    batch = Collate(TOKENIZER)([reader[0, index] for index in range(3)])
    assert batch.keys == ["0", "2"]
    assert [error.path for error in batch.skipped] == ["b.wav"]
    assert batch.source.shape == (2, 6)
    assert batch.source[0].tolist() == [1, 1, 1, 1, 0, 0]
    assert batch.source_lengths.tolist() == [4, 6]
    assert batch.sample_rate == 16_000


def test_texts_are_framed_and_padded() -> None:
    batch = Collate(TOKENIZER)([Example("x", torch.ones(4), (Target("a cat sat"), Target("dogs")))])
    assert batch.tokens.shape == (1, 2, 5)
    for row, text in enumerate(["a cat sat", "dogs"]):
        ids = [BOS, *TOKENIZER.encode(text), EOS]
        assert batch.tokens[0, row].tolist() == ids + [PAD] * (5 - len(ids))
        assert batch.token_mask[0, row].tolist() == [True] * len(ids) + [False] * (5 - len(ids))


def test_batch_of_broken_files_is_empty() -> None:
    batch = Collate(TOKENIZER)([UnreadableError("b.wav", "no header")])
    assert len(batch) == 0
    assert len(batch.skipped) == 1


def test_text_is_drawn_by_epoch_and_index() -> None:
    reader, again = (ReadOrSkip(RECORDINGS, texts_per_source=1, seed=5) for _ in range(2))

    def drawn(source: ReadOrSkip, epoch: int) -> str:
        example = source[epoch, 0]
        assert isinstance(example, Example)
        assert len(example.targets) == 1
        return example.targets[0].text

    texts = [drawn(reader, epoch) for epoch in range(20)]
    assert texts == [drawn(again, epoch) for epoch in range(20)]
    assert set(texts) == {"a cat", "two", "dogs"}


def test_unreadable_error_survives_pickling() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(UnreadableError("b.wav", "no header")))
    assert (error.path, error.reason) == ("b.wav", "no header")
