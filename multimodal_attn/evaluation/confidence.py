"""Whether confidence can be believed: of the words with a confidence of 80 %, are 80 % right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multimodal_attn.evaluation.statistics import Statistic, Sums, figures_of
from multimodal_attn.prediction.confidence import confidences, fit_temperature

NUM_BINS = 15
"""Equal parts of [0, 1], as in Guo et al. 2017."""


@dataclass
class Confidences:
    """Words that a model wrote, how sure it was, and whether each is right.

    Attributes:
        examples: the number of each word's example.
        log_probs: of each word.
        right: whether it is.
    """

    examples: Sequence[int]
    log_probs: Sequence[float]
    right: Sequence[bool]

    def temperature(self) -> float:
        """That of all words; see ``fit_temperature``."""
        return fit_temperature(np.array(self.log_probs), np.array(self.right))

    def calibrated(self, temperature: float | None = None) -> Reliability:
        """What confidence is worth.

        Args:
            temperature: that was found on other examples; None to find it here. Then the words of every second example
                are judged by the temperature of the others, and those by theirs: none takes part in its own correction.
        """
        log_probs, right, examples = np.array(self.log_probs), np.array(self.right), np.array(self.examples)
        plain = confidences(log_probs, 1.0)
        if temperature is not None:
            return Reliability(examples, plain, confidences(log_probs, temperature), right, temperature)
        found, even = np.empty(len(plain)), examples % 2 == 0
        for half in (even, ~even):
            others = ~half if (~half).any() else half
            found[half] = confidences(log_probs[half], fit_temperature(log_probs[others], right[others]))
        return Reliability(examples, plain, found, right, self.temperature())


@dataclass
class Reliability:
    """Confidence beside the truth.

    Attributes:
        examples: (W,) the number of each word's example.
        plain: (W,) its probability.
        calibrated: (W,) its confidence.
        right: (W,) whether it is.
        temperature: of the run.
    """

    examples: np.ndarray
    plain: np.ndarray
    calibrated: np.ndarray
    right: np.ndarray
    temperature: float

    def statistics(self, num_examples: int) -> list[Statistic]:
        """The expected calibration error (Guo et al. 2017, equation 3), also of the plain probabilities."""
        return [
            Sums(self._binned(values, num_examples), lambda sums, name=name: {name: _error(sums)})  # type: ignore[misc]
            for name, values in (("confidence_error", self.calibrated), ("confidence_error_plain", self.plain))
        ]

    def figures(self) -> dict[str, float]:
        """The figures of ``statistics``, and ``confidence_temperature``."""
        number = int(self.examples.max(initial=0)) + 1
        return {**figures_of(self.statistics(number), number), "confidence_temperature": self.temperature}

    def bins(self, values: np.ndarray) -> np.ndarray:
        """Of each part of [0, 1]: the number of words, their mean confidence, and the share that is right.

        Shapes:
            values: (W,) of ``plain`` or ``calibrated``. Returns (NUM_BINS, 3); not a number where there is no word.
        """
        number, confidence, right = self._binned(values, int(self.examples.max(initial=0)) + 1).sum(0).reshape(3, -1)
        with np.errstate(invalid="ignore"):
            return np.stack([number, confidence / number, right / number], axis=1)

    def _binned(self, values: np.ndarray, num_examples: int) -> np.ndarray:
        """(E, 3 NUM_BINS): the words of each example in each bin, their confidence summed, and those that are right."""
        place = np.minimum((values * NUM_BINS).astype(np.int64), NUM_BINS - 1) + NUM_BINS * self.examples
        parts = [np.bincount(place, w, minlength=num_examples * NUM_BINS) for w in (None, values, self.right)]
        binned = np.stack([part.reshape(num_examples, NUM_BINS) for part in parts], axis=1)
        return binned.reshape(num_examples, -1).astype(np.float64)


def _error(sums: np.ndarray) -> np.ndarray:
    """Calibration errors (R,) of sums (R, 3 NUM_BINS), one for each resample."""
    number, confidence, right = sums.reshape(-1, 3, NUM_BINS).transpose(1, 0, 2)
    error: np.ndarray = np.abs(confidence - right).sum(axis=1) / number.sum(axis=1)
    return error
