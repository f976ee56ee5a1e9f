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

        Shapes:
            Returns (4,).
        """
        return bleu_of(self.counts(hypotheses).sum(0))

    def counts(self, hypotheses: list[str]) -> np.ndarray:
        """What BLEU is computed from, for each hypothesis: sums over a set give that of the set.

        Shapes:
            Returns (B, 10): its length, the closest reference's, and of each order the runs of words that are right
            and those that were written.
        """
        counts = np.zeros((len(hypotheses), 2 + 2 * MAX_ORDER))
        for row, text, lengths, limits in zip(counts, hypotheses, self.lengths, self.limits, strict=True):
            words = text.split()
            row[0] = len(words)
            row[1] = min(lengths, key=lambda n: (abs(n - len(words)), n))
            for ngram, count in count_ngrams(words).items():
                row[1 + len(ngram)] += min(count, limits.get(ngram, 0))
            row[2 + MAX_ORDER :] = [max(0, len(words) - order) for order in range(MAX_ORDER)]
        return counts


def bleu_of(counts: np.ndarray) -> np.ndarray:
    """BLEU-1 to BLEU-4 from summed counts: the geometric mean of the precisions up to each order, times the brevity
    penalty.

    Shapes:
        counts: (..., 10). Returns (..., 4).
    """
    length, closest, correct, guessed = np.split(counts, [1, 2, 2 + MAX_ORDER], axis=-1)
    means = np.cumprod((correct + _TINY) / (guessed + _SMALL), axis=-1) ** (1 / np.arange(1, MAX_ORDER + 1))
    ratio = (length + _TINY) / (closest + _SMALL)
    scores: np.ndarray = means * np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return scores
