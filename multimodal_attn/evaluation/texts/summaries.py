"""Scores of summaries: ROUGE as rouge-score counts it, how much is new, and what extracting would reach."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from multimodal_attn.evaluation.statistics import Mean, Statistic, figures_of
from multimodal_attn.evaluation.texts.base import TextScores, check_pairs
from multimodal_attn.evaluation.texts.extraction import BASELINES, SENTENCE

KINDS = {"rouge1": "rouge1", "rouge2": "rouge2", "rougel": "rougeL", "rougelsum": "rougeLsum"}
"""Names of figures -> rouge-score's."""


class SummaryScores(TextScores):
    """F-measures of ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum (Lin 2004), as fractions; papers print them times 100.

    Counted by rouge-score with its Porter stemmer: lower case, letters and digits only. Of several references the best
    counts. ROUGE-L takes a summary as one sequence; ROUGE-Lsum takes it sentence by sentence, which most papers on
    summaries of several sentences call ROUGE-L.
    """

    monitor: ClassVar[str] = "rouge2"

    @cached_property
    def _scorer(self) -> Any:
        try:
            from rouge_score.rouge_scorer import RougeScorer
        except ImportError:
            raise ValueError(
                "metrics: rouge-score is not installed; pip install 'multimodal_attn[summaries]'"
            ) from None
        logging.getLogger("absl").setLevel(logging.WARNING)  # it tells of its tokenizer every time
        return RougeScorer(list(KINDS.values()), use_stemmer=True)

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """Scores of the whole set.

        Returns:
            ``rouge1``, ``rouge2``, ``rougel``, ``rougelsum``; ``exact``, the share of texts that equal a reference; and
            ``summary_ratio``, words written for each word of the references.
        """
        check_pairs(hypotheses, references)
        written = sum(len(text.split()) for text in hypotheses)
        expected = sum(np.mean([len(text.split()) for text in texts]) for texts in references)
        found = figures_of(self.statistics(hypotheses, references), len(hypotheses))
        return found | {"summary_ratio": float(written / max(1.0, expected))}

    def statistics(self, hypotheses: list[str], references: list[list[str]]) -> list[Statistic]:
        """As in ``TextScores``: all but the ratio of words."""
        exact = np.array([text in texts for text, texts in zip(hypotheses, references, strict=True)])
        values = {**self._rouge(hypotheses, references), "exact": exact}
        return [Mean(name, each.astype(float), np.arange(len(each))) for name, each in values.items()]

    def source_scores(self, hypotheses: list[str], references: list[list[str]], sources: list[str]) -> dict[str, float]:
        """What is new in the summaries, and what three ways of extracting from the sources reach.

        Returns:
            ``novel_1grams`` to ``novel_3grams``, each with ``..._references`` beside it; ``repeated_3grams``; and
            ``rouge1_first``, ``rouge1_longest``, ``rouge1_oracle`` and so on, see ``extraction.py``.
        """
        found = {"repeated_3grams": float(np.mean([_repeated(text.split()) for text in hypotheses]))}
        first = [texts[0] for texts in references]
        for length in (1, 2, 3):
            found[f"novel_{length}grams"] = _novel(hypotheses, sources, length)
            found[f"novel_{length}grams_references"] = _novel(first, sources, length)
        for name, extract in BASELINES.items():
            texts = [extract(source, given) for source, given in zip(sources, references, strict=True)]
            found |= {f"{kind}_{name}": float(value.mean()) for kind, value in self._rouge(texts, references).items()}
        return found

    def _rouge(self, texts: list[str], references: list[list[str]]) -> dict[str, np.ndarray]:
        """F-measures of each text, (E,)."""
        scored = [
            self._scorer.score_multi([_sentences(one) for one in given], _sentences(text))
            for text, given in zip(texts, references, strict=True)
        ]
        return {name: np.array([each[kind].fmeasure for each in scored]) for name, kind in KINDS.items()}


def _sentences(text: str) -> str:
    """A sentence a line, as ROUGE-Lsum reads them; to the others a line is a space."""
    return "\n".join(SENTENCE.split(text))


def _ngrams(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]


def _novel(texts: Sequence[str], sources: Sequence[str], length: int) -> float:
    """Share of the texts' different n-grams that their sources lack (See et al. 2017, figure 6)."""
    new = number = 0
    for text, source in zip(texts, sources, strict=True):
        found = set(_ngrams(text.split(), length))
        new += len(found - set(_ngrams(source.split(), length)))
        number += len(found)
    return new / max(1, number)


def _repeated(words: Sequence[str]) -> float:
    """Share of a text's runs of three words that stood there before."""
    found = _ngrams(words, 3)
    return 1 - len(set(found)) / len(found) if found else 0.0
