"""What scores of texts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

from multimodal_attn.evaluation.statistics import Statistic
from multimodal_attn.measures import Measure


class TextScores(ABC):
    """Scores of what was written, over a whole set.

    A score of your own is a subclass and a yaml below ``conf/metrics``. What it returns is logged, printed and shown by
    name; ``measures`` may say more about it.
    """

    monitor: ClassVar[str]
    """The figure that the progress bar shows."""
    measures: ClassVar[tuple[Measure, ...]] = ()
    """Titles, units and directions of figures that ``multimodal_attn.measures`` does not know."""
    extras: ClassVar[tuple[str, ...]] = ()
    """What ``extra_scores`` may be asked for."""

    @abstractmethod
    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """Scores of the whole set.

        Args:
            hypotheses: one text for each source.
            references: one or more texts for each source.

        Raises:
            ValueError: if there is nothing to score, the two differ in length, or a source has no reference.
        """

    def statistics(self, hypotheses: list[str], references: list[list[str]]) -> list[Statistic]:
        """What the scores are computed from, an example at a time; scores that are not in it get no interval.

        Args:
            hypotheses: one text for each source.
            references: one or more texts for each source.
        """
        return []

    def scored(self, hypotheses: list[str], references: list[list[str]]) -> tuple[dict[str, float], list[Statistic]]:
        """The scores and their statistics, for an evaluation, which wants both.

        Args:
            hypotheses: one text for each source.
            references: one or more texts for each source.
        """
        return self(hypotheses, references), self.statistics(hypotheses, references)

    def right_words(self, words: list[str], references: list[str]) -> list[bool]:
        """Which words of a text are right, for what their confidence is worth.

        Here a word is right if a reference has it, no more often than that reference; where order decides, a subclass
        says so.
        """
        counts = [Counter(text.split()) for text in references]
        allowed = {word: max(count[word] for count in counts) for word in set(words)} if counts else {}
        seen: Counter[str] = Counter()
        found = []
        for word in words:
            seen[word] += 1
            found.append(seen[word] <= allowed.get(word, 0))
        return found

    def corpus_scores(
        self, hypotheses: list[str], training_texts: Callable[[], Sequence[str] | None]
    ) -> dict[str, float]:
        """What the texts are like as a set, without their references; once, in an evaluation.

        Args:
            hypotheses: one text for each source.
            training_texts: reads them when it is called; None where they are not at hand.
        """
        return {}

    def source_statistics(
        self, hypotheses: list[str], references: list[list[str]], sources: list[str]
    ) -> list[Statistic]:
        """How the texts relate to the source texts that they were written about; once, in an evaluation.

        Args:
            hypotheses: one text for each source.
            references: one or more texts for each source.
            sources: as they were read.
        """
        return []

    def extra_scores(
        self, names: Sequence[str], hypotheses: list[str], references: list[list[str]]
    ) -> tuple[dict[str, float], list[str]]:
        """Scores that are computed only when asked for, some of ``extras``.

        Returns:
            The scores, and for each that could not be computed a line that says why.
        """
        return {}, []

    def check_extras(self, names: Sequence[str]) -> None:
        """Raises a ValueError for a name that is none of ``extras``."""
        if unknown := [name for name in names if name not in self.extras]:
            some = f"[] or some of {', '.join(self.extras)}" if self.extras else f"[] with {type(self).__name__}"
            raise ValueError(f"extra_scores: {', '.join(unknown)}; expected {some}")


def check_pairs(hypotheses: list[str], references: list[list[str]]) -> None:
    """Raises ValueError unless there is at least one hypothesis and each has a reference."""
    if not hypotheses:
        raise ValueError("there is no hypothesis to score")
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses, but references of {len(references)} sources")
    missing = [index for index, texts in enumerate(references) if not texts]
    if missing:
        raise ValueError(f"source {missing[0]} has no reference text to score against ({len(missing)} such sources)")
