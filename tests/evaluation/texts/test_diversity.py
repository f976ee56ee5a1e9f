from __future__ import annotations

import pytest

from multimodal_attn.evaluation.texts.diversity import caption_diversity


def test_by_hand() -> None:
    captions = ["a dog", "a dog", "a cat runs", ""]
    found = caption_diversity(captions, ["a dog", "a dog", "the cat sleeps here"])
    assert found == pytest.approx(
        {
            "distinct_captions": 3 / 4,
            "vocabulary_used": 4,  # a, dog, cat, runs
            "training_captions": 2 / 4,
            "training_vocabulary_used": 3 / 6,  # runs is new
        }
    )


def test_without_training_texts() -> None:
    assert caption_diversity(["a", "b"]) == {"distinct_captions": 1, "vocabulary_used": 2}


def test_always_the_same() -> None:
    found = caption_diversity(["a man"] * 10, ["a man"])
    assert found["distinct_captions"] == pytest.approx(1 / 10)
    assert found["training_captions"] == 1


def test_order_does_not_matter() -> None:
    captions = ["a dog", "a cat", "a dog"]
    assert caption_diversity(captions[::-1], ["a cat"]) == caption_diversity(captions, ["a cat"])


def test_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no caption"):
        caption_diversity([])
