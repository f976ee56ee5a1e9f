"""Scores of translations: BLEU and chrF as sacreBLEU counts them (Post 2018)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from multimodal_attn.evaluation.statistics import Statistic, Sums
from multimodal_attn.evaluation.texts.base import check_pairs
from multimodal_attn.evaluation.texts.counted import CountedScores


class TranslationScores(CountedScores):
    """BLEU and chrF of a whole set, as fractions; papers print both times 100.

    sacreBLEU's own tokenization (13a), case and punctuation count. What captions are scored with knows neither: the
    two BLEUs cannot be compared. One setting is not sacreBLEU's default, its effective order: where none of
    the written texts has four tokens, BLEU counts the orders that there are, and would be 0 otherwise. A set with a
    longer text has the same BLEU with and without it.
    """

    monitor: ClassVar[str] = "bleu"

    def statistics(self, hypotheses: list[str], references: list[list[str]]) -> list[Statistic]:
        """The counts of each text that sacreBLEU itself resamples for its tests of significance.

        Further references count where every source has them.

        Returns:
            Of ``bleu``, ``chrf``, and ``length_ratio``: words written for each word of the references.
        """
        check_pairs(hypotheses, references)
        streams = [list(stream) for stream in zip(*references, strict=False)]
        bleu, chrf = BLEU(effective_order=True), CHRF()

        def bleu_of(sums: np.ndarray) -> dict[str, np.ndarray]:
            found = [bleu._compute_score_from_stats(row) for row in sums.astype(np.int64).tolist()]
            return {
                "bleu": np.array([score.score / 100 for score in found]),
                "length_ratio": np.array([score.ratio for score in found]),
            }

        def chrf_of(sums: np.ndarray) -> dict[str, np.ndarray]:
            found = [chrf._compute_score_from_stats(row) for row in sums.astype(np.int64).tolist()]
            return {"chrf": np.array([score.score / 100 for score in found])}

        return [
            Sums(np.array(metric._extract_corpus_statistics(hypotheses, streams), dtype=np.float64), formula)
            for metric, formula in ((bleu, bleu_of), (chrf, chrf_of))
        ]
