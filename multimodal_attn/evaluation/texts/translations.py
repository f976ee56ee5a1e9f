"""Scores of translations: BLEU and chrF as sacreBLEU counts them (Post 2018)."""

from __future__ import annotations

from typing import ClassVar

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from multimodal_attn.evaluation.texts.base import TextScores, check_pairs


class TranslationScores(TextScores):
    """BLEU and chrF of a whole set, as fractions; papers print both times 100.

    sacreBLEU's own tokenization (13a), case and punctuation count. What captions are scored with knows neither: the
    two BLEUs cannot be compared. One setting is not sacreBLEU's default, its effective order: where none of
    the written texts has four tokens, BLEU counts the orders that there are, and would be 0 otherwise. A set with a
    longer text has the same BLEU with and without it.
    """

    monitor: ClassVar[str] = "bleu"

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """Scores of the whole set; further references count where every source has them.

        Returns:
            ``bleu``, ``chrf``, and ``length_ratio``: words written for each word of the references.
        """
        check_pairs(hypotheses, references)
        streams = [list(stream) for stream in zip(*references, strict=False)]
        bleu = BLEU(effective_order=True).corpus_score(hypotheses, streams)
        chrf = CHRF().corpus_score(hypotheses, streams)
        return {"bleu": bleu.score / 100, "chrf": chrf.score / 100, "length_ratio": bleu.ratio}
