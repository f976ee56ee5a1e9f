"""CIDEr-D of captions (Vedantam et al. 2015), equal to the reference scorer of COCO captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from multimodal_attn.evaluation.texts.ngrams import MAX_ORDER, Ngram, count_ngrams

_SIGMA = 6.0  # width of the penalty for a difference in length
_SCALE = 10.0


@dataclass
class Vector:
    """What a text weighs: n-gram -> count times rarity, the norm at each order, and the number of its word pairs."""

    weights: dict[Ngram, float]
    norms: list[float]
    length: int  # in pairs: the reference scorer takes the number of 2-grams for the length


class CiderD:
    """Likeness to the references, in which a run of words counts the more the fewer sources it is used for.

    Args:
        references: tokenized references of each source, at least one. They give the document frequencies as well,
            so that a score is comparable only with others on the same set; a set of one source scores 0.
    """

    def __init__(self, references: list[list[str]]) -> None:
        counts = [[count_ngrams(text.split()) for text in texts] for texts in references]
        self._rarity = Rarity(counts)
        self.references = [[self._rarity.weigh(text) for text in texts] for texts in counts]

    def __call__(self, hypotheses: list[str]) -> np.ndarray:
        """CIDEr-D of each hypothesis, in [0, 10]; that of a set is their mean.

        Shapes:
            Returns (B,).
        """
        scores = np.zeros(len(hypotheses))
        for index, (text, references) in enumerate(zip(hypotheses, self.references, strict=True)):
            scores[index] = cider_d(self._rarity.weigh(count_ngrams(text.split())), references)
        return scores


class Rarity:
    """How rare each n-gram is: the logarithm of how many times as many sources there are as use it.

    Args:
        documents: counted n-grams of the texts of each source.
    """

    def __init__(self, documents: Iterable[list[Counter[Ngram]]]) -> None:
        frequency: Counter[Ngram] = Counter()
        number = 0
        for texts in documents:
            number += 1
            frequency.update(set().union(*texts))
        self._unseen = log(number) if number else 0.0
        self._rarity = {ngram: self._unseen - log(uses) for ngram, uses in frequency.items()}

    def weigh(self, counts: Counter[Ngram]) -> Vector:
        """The vector of a text, from its counted n-grams."""
        weights, squares, length = {}, [0.0] * MAX_ORDER, 0
        for ngram, count in counts.items():
            weight = count * self._rarity.get(ngram, self._unseen)
            weights[ngram] = weight
            squares[len(ngram) - 1] += weight * weight
            if len(ngram) == 2:
                length += count
        return Vector(weights, [sqrt(square) for square in squares], length)


def cider_d(hypothesis: Vector, references: list[Vector]) -> float:
    """CIDEr-D of one text, in [0, 10]."""
    return _SCALE * sum(_likeness(hypothesis, reference) for reference in references) / len(references)


def _likeness(hypothesis: Vector, reference: Vector) -> float:
    """Mean over the orders of the clipped cosine, less for a different length."""
    products = [0.0] * MAX_ORDER
    for ngram, weight in hypothesis.weights.items():
        other = reference.weights.get(ngram)
        if other:
            # Clipped, so that repeating a rare word does not help.
            products[len(ngram) - 1] += min(weight, other) * other
    norms = (a * b for a, b in zip(hypothesis.norms, reference.norms, strict=True))
    cosines = sum(product / norm for product, norm in zip(products, norms, strict=True) if norm)
    difference = hypothesis.length - reference.length
    return cosines / MAX_ORDER * exp(-(difference**2) / (2 * _SIGMA**2))
