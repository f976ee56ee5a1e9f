"""Whether captions differ: a model that says the same of every picture may still score."""

from __future__ import annotations

from collections.abc import Sequence


def caption_diversity(hypotheses: Sequence[str], training_texts: Sequence[str] | None = None) -> dict[str, float]:
    """How much a set of captions repeats itself, and repeats the training set.

    - ``distinct_captions``: different captions over all captions.
    - ``vocabulary_used``: number of different words.
    - ``training_captions``: share of captions that stand in the training set word for word.
    - ``training_vocabulary_used``: share of the training texts' different words that are used.

    Args:
        hypotheses: one normalized caption for each picture.
        training_texts: normalized; without them the last two are left out.

    Raises:
        ValueError: if there is no caption.
    """
    if not hypotheses:
        raise ValueError("there is no caption to compare")
    words = {word for text in hypotheses for word in text.split()}
    measures = {
        "distinct_captions": len(set(hypotheses)) / len(hypotheses),
        "vocabulary_used": float(len(words)),
    }
    if training_texts is not None:
        known = set(training_texts)
        vocabulary = {word for text in known for word in text.split()}
        measures["training_captions"] = sum(text in known for text in hypotheses) / len(hypotheses)
        measures["training_vocabulary_used"] = len(words & vocabulary) / max(1, len(vocabulary))
    return measures
