"""Scores of captions: BLEU, ROUGE-L and CIDEr-D as published numbers count them, without Java."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from multimodal_attn.evaluation.statistics import Mean, Statistic, Sums
from multimodal_attn.evaluation.texts.base import check_pairs
from multimodal_attn.evaluation.texts.bleu import Bleu, bleu_of
from multimodal_attn.evaluation.texts.cider import CiderD
from multimodal_attn.evaluation.texts.counted import CountedScores
from multimodal_attn.evaluation.texts.diversity import caption_diversity
from multimodal_attn.evaluation.texts.java_scores import JAVA_SCORES, java_scores
from multimodal_attn.evaluation.texts.ptb import ptb_tokenize
from multimodal_attn.evaluation.texts.rouge import RougeL


class CaptionScores(CountedScores):
    """BLEU-1 to 4 and ROUGE-L as fractions, CIDEr-D on its scale from 0 to 10; papers print all of them times 100.

    Both sides are tokenized as for the reference scorer. What depends on the references alone is kept for the next
    call: a validation set is scored every epoch.
    """

    monitor: ClassVar[str] = "cider_d"
    extras: ClassVar[tuple[str, ...]] = JAVA_SCORES

    def __init__(self) -> None:
        self._references: list[list[str]] = []
        self._scorers: tuple[Bleu, RougeL, CiderD] | None = None

    def statistics(self, hypotheses: list[str], references: list[list[str]]) -> list[Statistic]:
        """A resample keeps CIDEr-D's document frequencies: they are those of the whole set of references."""
        check_pairs(hypotheses, references)
        if self._scorers is None or references != self._references:
            tokenized = [[ptb_tokenize(text) for text in texts] for texts in references]
            self._scorers = Bleu(tokenized), RougeL(tokenized), CiderD(tokenized)
            self._references = [list(texts) for texts in references]
        bleu, rouge, cider = self._scorers
        tokens = [ptb_tokenize(text) for text in hypotheses]
        examples = np.arange(len(tokens))
        return [
            Sums(bleu.counts(tokens), _bleu),
            Mean("rouge_l", rouge(tokens), examples),
            Mean("cider_d", cider(tokens), examples),
        ]

    def corpus_scores(
        self, hypotheses: list[str], training_texts: Callable[[], Sequence[str] | None]
    ) -> dict[str, float]:
        """Whether captions differ, from each other and from those of the training set."""
        return caption_diversity(hypotheses, training_texts())

    def extra_scores(
        self, names: Sequence[str], hypotheses: list[str], references: list[list[str]]
    ) -> tuple[dict[str, float], list[str]]:
        """METEOR and SPICE, which need Java."""
        return java_scores(names, hypotheses, references)


def _bleu(counts: np.ndarray) -> dict[str, np.ndarray]:
    return {f"bleu_{order}": scores for order, scores in enumerate(bleu_of(counts).T, start=1)}
