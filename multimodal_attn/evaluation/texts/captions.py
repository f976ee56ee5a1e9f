"""Scores of captions: BLEU, ROUGE-L and CIDEr-D as published numbers count them, without Java."""

from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.texts.bleu import Bleu
from multimodal_attn.evaluation.texts.cider import CiderD
from multimodal_attn.evaluation.texts.ptb import ptb_tokenize
from multimodal_attn.evaluation.texts.rouge import RougeL


class CaptionScores:
    """BLEU-1 to 4 and ROUGE-L as fractions, CIDEr-D on its scale from 0 to 10; papers print all of them times 100.

    Both sides are tokenised as for the reference scorer. What depends on the references alone is kept for the next
    call: a validation set is scored every epoch.
    """

    monitor = "cider_d"
    mode = "max"

    def __init__(self) -> None:
        self._references: list[list[str]] = []
        self._scorers: tuple[Bleu, RougeL, CiderD] | None = None

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """Scores of the whole set.

        Args:
            hypotheses: one text for each source.
            references: one or more texts for each source.

        Raises:
            ValueError: if there is nothing to score, the two differ in length, or a source has no reference.
        """
        return {name: float(value) for name, (value, _) in self._score(hypotheses, references).items()}

    def per_caption(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, np.ndarray]:
        """The same measures of each hypothesis alone; document frequencies are still those of the whole set.

        Shapes:
            Returns (B,) for each measure.
        """
        return {name: values for name, (_, values) in self._score(hypotheses, references).items()}

    def _score(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, tuple[float, np.ndarray]]:
        check_pairs(hypotheses, references)
        if self._scorers is None or references != self._references:
            tokenised = [[ptb_tokenize(text) for text in texts] for texts in references]
            self._scorers = Bleu(tokenised), RougeL(tokenised), CiderD(tokenised)
            self._references = [list(texts) for texts in references]
        bleu, rouge, cider = self._scorers
        tokens = [ptb_tokenize(text) for text in hypotheses]
        corpus, each = bleu(tokens)
        scores = {f"bleu_{order + 1}": (float(corpus[order]), each[:, order]) for order in range(len(corpus))}
        return scores | {"rouge_l": rouge(tokens), "cider_d": cider(tokens)}


def check_pairs(hypotheses: list[str], references: list[list[str]]) -> None:
    """Raises ValueError unless there is at least one hypothesis and each has a reference."""
    if not hypotheses:
        raise ValueError("there is no hypothesis to score")
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses, but references of {len(references)} sources")
    missing = [index for index, texts in enumerate(references) if not texts]
    if missing:
        raise ValueError(f"source {missing[0]} has no reference text to score against ({len(missing)} such sources)")
