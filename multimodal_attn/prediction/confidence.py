"""How sure a word is: its probability, corrected by one number that validation has shown to be right.

Networks are often surer than they are right (Guo et al. 2017, "On calibration of modern neural networks"), and after
label smoothing less sure. Dividing the log odds of a word by a temperature keeps the order of the words and moves all
of them toward or away from one half.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from multimodal_attn.writing import write_file

FILE = "calibration.json"
"""In a run's folder: the temperature that the evaluation of its validation set has found."""

_SUREST = -1e-6  # log probability: of a probability of 1 the log odds would be infinite


def log_odds(log_probs: np.ndarray) -> np.ndarray:
    """The log odds of words whose log probabilities are given, finite."""
    log_probs = np.minimum(np.asarray(log_probs, dtype=np.float64), _SUREST)
    return log_probs - np.log(-np.expm1(log_probs))


def confidences(log_probs: np.ndarray, temperature: float) -> np.ndarray:
    """The probability that each word is right: that of the model, its log odds divided by the temperature."""
    return 1 / (1 + np.exp(np.minimum(-log_odds(log_probs) / temperature, 700.0)))


def fit_temperature(log_probs: np.ndarray, right: np.ndarray) -> float:
    """The temperature under which it is likeliest that just these words are right (the least negative log likelihood).

    The likelihood has one maximum, at which its derivative by 1 / temperature changes its sign. Right words count as
    right but for one in all of them, and wrong ones likewise (Platt 1999, section 2.2): where every word is right, that
    the next will be is not certain. The answer lies between 0.05 and 20.

    Shapes:
        log_probs: (W,). right: (W,) bool.
    """
    odds, low, high = log_odds(log_probs), 0.05, 20.0
    number = right.sum()
    targets = np.where(right, (number + 1) / (number + 2), 1 / (len(right) - number + 2))
    for _ in range(60):
        middle = math.sqrt(low * high)
        slope = ((targets - 1 / (1 + np.exp(np.clip(-odds * middle, -700, 700)))) * odds).sum()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return 1 / math.sqrt(low * high)


def word_log_probs(log_probs: Sequence[float], spans: Sequence[tuple[int, int]]) -> list[float]:
    """The log probability of each word: the sum over its tokens.

    Args:
        log_probs: of the tokens.
        spans: first token and one past the last of each word.
    """
    return [float(sum(log_probs[first:stop])) for first, stop in spans]


def write_temperature(folder: Path, temperature: float, num_words: int) -> None:
    """Keeps a temperature with a run, for everything that it reads from now on."""
    content = {"temperature": round(temperature, 4), "split": "val", "num_words": num_words}
    write_file(folder / FILE, json.dumps(content, indent=2) + "\n")


def read_temperature(folder: Path) -> float | None:
    """What ``write_temperature`` has kept; None for a run that was not calibrated.

    Raises:
        ValueError: names the file if it holds no temperature.
    """
    from multimodal_attn.parts import checked  # exported models do without
    from multimodal_attn.ranges import Positive

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return float(checked("temperature", json.loads(path.read_text(encoding="utf-8"))["temperature"], Positive))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(
            f"{path}: holds no temperature; expected what an evaluation of the validation split writes, or no file"
        ) from None
