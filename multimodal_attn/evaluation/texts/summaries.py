"""Scores of summaries: ROUGE as rouge-score counts it, how much is new, and what extracting would reach."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from multimodal_attn.evaluation.statistics import Mean, Statistic, Sums
from multimodal_attn.evaluation.texts.any_script import AnyScript
from multimodal_attn.evaluation.texts.base import check_pairs
from multimodal_attn.evaluation.texts.counted import CountedScores
from multimodal_attn.evaluation.texts.extraction import BASELINES, SENTENCE
from multimodal_attn.optional_packages import require_packages

KINDS = {"rouge1": "rouge1", "rouge2": "rouge2", "rougel": "rougeL", "rougelsum": "rougeLsum"}
"""Names of figures -> rouge-score's."""


class SummaryScores(CountedScores):
    """F-measures of ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum (Lin 2004), as fractions; papers print them times 100.

    Counted by rouge-score with its Porter stemmer: lower case, letters and digits only. Of letters it knows a to z;
    words with others count as they are, unstemmed. Of several references the best counts. ROUGE-L takes a summary as
    one sequence; ROUGE-Lsum takes it sentence by sentence, which most papers on summaries of several sentences call
    ROUGE-L.
    """

    monitor: ClassVar[str] = "rouge2"

    @cached_property
    def _scorer(self) -> Any:
        require_packages("metrics", "summaries", "rouge_score")
        from rouge_score.rouge_scorer import RougeScorer
        from rouge_score.tokenizers import DefaultTokenizer

        logging.getLogger("absl").setLevel(logging.WARNING)  # it tells of its tokenizer every time
        return RougeScorer(list(KINDS.values()), tokenizer=AnyScript(DefaultTokenizer(use_stemmer=True).tokenize))

    def statistics(self, hypotheses: list[str], references: list[list[str]]) -> list[Statistic]:
        """Of each text.

        Returns:
            Of ``rouge1``, ``rouge2``, ``rougel``, ``rougelsum``; ``exact``, the share of texts that equal a reference;
            and ``summary_ratio``, words written for each word of the references.
        """
        check_pairs(hypotheses, references)
        exact = np.array([text in texts for text, texts in zip(hypotheses, references, strict=True)])
        written = [len(text.split()) for text in hypotheses]
        expected = [float(np.mean([len(text.split()) for text in texts])) for texts in references]
        return [
            *_means({**self._rouge(hypotheses, references), "exact": exact}),
            _ratio("summary_ratio", written, expected),
        ]

    def source_statistics(
        self, hypotheses: list[str], references: list[list[str]], sources: list[str]
    ) -> list[Statistic]:
        """What is new in the summaries, and what three ways of extracting from the sources reach.

        Returns:
            ``novel_1grams`` to ``novel_3grams``, each with ``..._references`` beside it; ``repeated_3grams``; and
            ``rouge1_first``, ``rouge1_longest``, ``rouge1_oracle`` and so on, see ``extraction.py``.
        """
        found = _means({"repeated_3grams": np.array([_repeated(text.split()) for text in hypotheses])})
        first = [texts[0] for texts in references]
        for length in (1, 2, 3):
            found.append(_ratio(f"novel_{length}grams", *_novel(hypotheses, sources, length)))
            found.append(_ratio(f"novel_{length}grams_references", *_novel(first, sources, length)))
        for name, extract in BASELINES.items():
            texts = [extract(source, given) for source, given in zip(sources, references, strict=True)]
            found += _means({f"{kind}_{name}": value for kind, value in self._rouge(texts, references).items()})
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


def _means(values: dict[str, np.ndarray]) -> list[Statistic]:
    """Means over examples of one value each, (E,)."""
    return [Mean(name, each.astype(float), np.arange(len(each))) for name, each in values.items()]


def _ratio(name: str, above: Sequence[float], below: Sequence[float]) -> Statistic:
    """The sum of one number of each example over that of another; 0 where there is nothing below."""
    return Sums(np.array([above, below], dtype=float).T, lambda sums: {name: sums[:, 0] / np.maximum(1.0, sums[:, 1])})


def _novel(texts: Sequence[str], sources: Sequence[str], length: int) -> tuple[list[int], list[int]]:
    """How many of each text's different n-grams its source lacks (See et al. 2017, figure 6), and how many it has."""
    grams = [set(_ngrams(text.split(), length)) for text in texts]
    new = [len(found - set(_ngrams(source.split(), length))) for found, source in zip(grams, sources, strict=True)]
    return new, [len(found) for found in grams]


def _repeated(words: Sequence[str]) -> float:
    """Share of a text's runs of three words that stood there before."""
    found = _ngrams(words, 3)
    return 1 - len(set(found)) / len(found) if found else 0.0
