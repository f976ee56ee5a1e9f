"""ROUGE-L of captions (Lin 2004, section 3), equal to the reference scorer of COCO captions."""

from __future__ import annotations

import numpy as np

_BETA = 1.2  # recall counts this much more than precision


class RougeL:
    """F-measure of the longest common subsequence, with the best precision and the best recall of any reference.

    Args:
        references: tokenized references of each source, at least one.
    """

    def __init__(self, references: list[list[str]]) -> None:
        # Split at single spaces as the reference scorer does: an empty text is one empty word, so that an empty
        # hypothesis has no division by zero, and is right if a reference is empty too.
        self.references = [[_Sequence(text.split(" ")) for text in texts] for texts in references]

    def __call__(self, hypotheses: list[str]) -> np.ndarray:
        """ROUGE-L of each hypothesis, in [0, 1]; that of a set is their mean.

        Shapes:
            Returns (B,).
        """
        scores = np.zeros(len(hypotheses))
        for index, (text, references) in enumerate(zip(hypotheses, self.references, strict=True)):
            words = text.split(" ")
            common = [reference.common_with(words) for reference in references]
            precision = max(common) / len(words)
            recall = max(length / reference.length for length, reference in zip(common, references, strict=True))
            if precision and recall:
                scores[index] = (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)
        return scores


class _Sequence:
    """Words whose longest common subsequence with others takes a few machine operations a word.

    One integer holds a whole row of the dynamic program, a bit for each word here (Hyyrö 2004).
    """

    def __init__(self, words: list[str]) -> None:
        self.length = len(words)
        self.places: dict[str, int] = {}
        for index, word in enumerate(words):
            self.places[word] = self.places.get(word, 0) | (1 << index)

    def common_with(self, words: list[str]) -> int:
        """Length of the longest common subsequence."""
        everywhere = (1 << self.length) - 1
        row = everywhere
        for word in words:
            matches = row & self.places.get(word, 0)
            row = ((row + matches) | (row - matches)) & everywhere
        return self.length - row.bit_count()
