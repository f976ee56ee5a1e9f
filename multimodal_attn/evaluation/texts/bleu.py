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
        references: tokenized references of each source, at least one.
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

    def __call__(self, hypotheses: list[str]) -> np.ndarray:
        """BLEU-1 to BLEU-4 of the whole set, in [0, 1].

        The geometric mean of the precisions up to each order, times the brevity penalty.

        Shapes:
            Returns (4,).
        """
        correct, guessed = np.zeros(MAX_ORDER), np.zeros(MAX_ORDER)
        length = closest = 0
        for text, lengths, limits in zip(hypotheses, self.lengths, self.limits, strict=True):
            words = text.split()
            length += len(words)
            closest += min(lengths, key=lambda n: (abs(n - len(words)), n))
            guessed += [max(0, len(words) - order) for order in range(MAX_ORDER)]
            for ngram, count in count_ngrams(words).items():
                correct[len(ngram) - 1] += min(count, limits.get(ngram, 0))
        means = np.cumprod((correct + _TINY) / (guessed + _SMALL)) ** (1 / np.arange(1, MAX_ORDER + 1))
        ratio = (length + _TINY) / (closest + _SMALL)
        scores: np.ndarray = means * np.exp(min(0.0, 1 - 1 / ratio))
        return scores
