"""What it costs to write words while a recording is still going on: words that are wrong, and time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multimodal_attn.evaluation.bootstrap import Interval, intervals
from multimodal_attn.evaluation.statistics import Mean, Median, NinetiethPercentile, Number, Statistic, Sums, figures_of
from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.prediction.times.word_alignment import right_words
from multimodal_attn.types import Span, Target


class LiveScores:
    """Scores of recordings that were heard live and as a whole.

    The delay of a word is what had been heard beyond its true end when it was written; of words that are right. A word
    has changed if what was first shown in its place is not what stands there in the end.
    """

    def __init__(self) -> None:
        self._scores = TranscriptScores()
        self._errors: list[tuple[float, float, float]] = []  # live and as a whole, of so many true words
        self._delays: list[list[float]] = []  # in ms
        self._changed: list[list[float]] = []
        self._looks: list[float] = []
        self._seconds = 0.0

    def add(
        self,
        words: Sequence[str],
        written: Sequence[float],
        whole: str,
        target: Target,
        first_shown: Sequence[str],
        looks: Sequence[float],
        seconds: float,
    ) -> None:
        """Takes a recording in.

        Args:
            words: that became sure.
            written: seconds of sound that had been heard then, one for each.
            whole: what was written of the whole recording.
            target: the truth.
            first_shown: for each place that ever held a word, sure or not, the first one.
            looks: seconds of work that each look took.
            seconds: of the recording.
        """
        number = len(target.text.split())
        ours, theirs = (self._edits(text, target.text, number) for text in (" ".join(words), whole))
        self._errors.append((ours, theirs, number))
        times: dict[int, Span] = dict(enumerate(target.times))
        right = [(written[place], times[true]) for place, true in right_words(list(words), target) if true in times]
        self._delays.append([1000 * (when - span.end) for when, span in right])
        self._changed.append(
            [float(place >= len(words) or words[place] != word) for place, word in enumerate(first_shown)]
        )
        self._looks += looks
        self._seconds += seconds

    def _edits(self, text: str, truth: str, number: int) -> float:
        return self._scores([text], [[truth]])["wer"] * max(1, number)

    def compute(self) -> dict[str, float]:
        """The figures; ``measures.py`` says what each means."""
        return figures_of(self._statistics(), len(self._errors)) | {
            "live_rtf": sum(self._looks) / max(1e-9, self._seconds),
            "live_look_ms": 1000 * float(np.median(self._looks)) if self._looks else 0.0,
            "live_num_examples": len(self._errors),
        }

    def intervals(self) -> dict[str, Interval]:
        """The 95 % interval of each figure that depends on the recordings alone."""
        return intervals(self._statistics(), len(self._errors))

    def _statistics(self) -> list[Statistic]:
        delays, changed = _of_examples(self._delays), _of_examples(self._changed)
        found: list[Statistic] = [
            Sums(np.array(self._errors, dtype=np.float64).reshape(-1, 3), _rates),
            Mean("live_changed", *changed),
        ]
        if len(delays[0]):  # true times are known
            found += [Median("emission_delay_ms", *delays), NinetiethPercentile("emission_delay_90_ms", *delays)]
            found.append(Number("emission_num_words", delays[1]))
        return found


def _rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    live, whole, words = sums[:, 0], sums[:, 1], np.maximum(sums[:, 2], 1)
    return {"live_wer": live / words, "live_wer_whole": whole / words, "live_wer_added": (live - whole) / words}


def _of_examples(values: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """All values, and the example that each is of."""
    return np.concatenate([np.zeros(0), *values]), np.repeat(np.arange(len(values)), [len(each) for each in values])
