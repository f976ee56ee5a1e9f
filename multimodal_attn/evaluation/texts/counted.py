"""Scores that all follow from their statistics."""

from __future__ import annotations

from multimodal_attn.evaluation.statistics import Statistic, figures_of
from multimodal_attn.evaluation.texts.base import TextScores


class CountedScores(TextScores):
    """Scores that are computed from ``statistics`` and nothing else: a subclass says what these are."""

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """See ``TextScores``."""
        return self.scored(hypotheses, references)[0]

    def scored(self, hypotheses: list[str], references: list[list[str]]) -> tuple[dict[str, float], list[Statistic]]:
        """See ``TextScores``; what takes time is done once."""
        found = self.statistics(hypotheses, references)
        return figures_of(found, len(hypotheses)), found
