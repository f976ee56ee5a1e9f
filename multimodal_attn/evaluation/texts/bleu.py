"""BLEU of captions (Papineni et al. 2002), equal to the reference scorer of COCO captions."""

from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.texts.ngrams import MAX_ORDER, Ngram, count_ngrams

# The reference scorer adds these in place of smoothing: without a match a score is tiny, not zero, and without a
# single guess it is not a division by zero.
_TINY = 1e-15
_SMALL = 1e-9


class Bleu:
    """BLEU-1 to BLEU-4 against references that are counted once.

    Args:
        references: tokenised references of each source, at least one.
    """

    def __init__(self, references: list[list[str]]) -> None:
        self.lengths: list[list[int]] = []
        self.limits: list[dict[Ngram, int]] = []
        for texts in references:
            words = [text.split() for text in texts]
            self.lengths.append([len(reference) for reference in words])
            limits: dict[Ngram, int] = {}
            for reference in words:
                for ngram, count in count_ngrams(reference).items():
                    if count > limits.get(ngram, 0):
                        limits[ngram] = count
            self.limits.append(limits)

    def __call__(self, hypotheses: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """BLEU of the whole set, and of each hypothesis alone.

        Shapes:
            Returns (4,) and (B, 4): BLEU-1 to BLEU-4 in [0, 1].
        """
        correct = np.zeros((len(hypotheses), MAX_ORDER))
        guessed = np.zeros((len(hypotheses), MAX_ORDER))
        length = np.zeros(len(hypotheses))
        closest = np.zeros(len(hypotheses))
        for index, (text, lengths, limits) in enumerate(zip(hypotheses, self.lengths, self.limits, strict=True)):
            words = text.split()
            length[index] = len(words)
            closest[index] = min(lengths, key=lambda n: (abs(n - len(words)), n))
            guessed[index] = [max(0, len(words) - order) for order in range(MAX_ORDER)]
            for ngram, count in count_ngrams(words).items():
                correct[index, len(ngram) - 1] += min(count, limits.get(ngram, 0))
        corpus = _bleu(correct.sum(0, keepdims=True), guessed.sum(0, keepdims=True), length.sum(), closest.sum())[0]
        return corpus, _bleu(correct, guessed, length, closest)


def _bleu(correct: np.ndarray, guessed: np.ndarray, length: np.ndarray, closest: np.ndarray) -> np.ndarray:
    """Geometric mean of the precisions up to each order, times the brevity penalty.

    Shapes:
        correct, guessed: (B, 4). length, closest: (B,), or () for B = 1. Returns (B, 4).
    """
    precisions = (correct + _TINY) / (guessed + _SMALL)
    means = np.cumprod(precisions, axis=1) ** (1 / np.arange(1, MAX_ORDER + 1))
    ratio = np.reshape((length + _TINY) / (closest + _SMALL), (-1, 1))
    return means * np.exp(np.minimum(0.0, 1 - 1 / ratio))
