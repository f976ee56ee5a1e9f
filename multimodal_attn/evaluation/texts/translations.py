"""Scores of translations: BLEU and chrF as sacreBLEU counts them (Post 2018)."""

from __future__ import annotations

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from multimodal_attn.evaluation.texts.captions import check_pairs


class TranslationScores:
    """Of a whole set, as fractions; papers print both times 100.

    sacreBLEU's own tokenisation (13a), case and punctuation count. What captions are scored with knows neither: the
    two BLEUs cannot be compared.
    """

    monitor = "bleu"
    mode = "max"

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """Scores of the whole set.

        Args:
            hypotheses: one text for each source.
            references: one or more texts for each source; further ones count where every source has them.

        Returns:
            ``bleu``, ``chrf``, and ``length_ratio``: words written for each word of the references.

        Raises:
            ValueError: if there is nothing to score, the two differ in length, or a source has no reference.
        """
        check_pairs(hypotheses, references)
        streams = [list(stream) for stream in zip(*references, strict=False)]
        # Of texts of one to three words only, counted by the orders that they have: by all four, BLEU would be 0.
        bleu = BLEU(effective_order=True).corpus_score(hypotheses, streams)
        chrf = CHRF().corpus_score(hypotheses, streams)
        return {"bleu": bleu.score / 100, "chrf": chrf.score / 100, "length_ratio": bleu.ratio}
