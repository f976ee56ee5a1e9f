"""The figures of what an evaluation has decoded: texts, attention, confidence, and what was counted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multimodal_attn.evaluation.bootstrap import Interval, intervals
from multimodal_attn.evaluation.confidence import Confidences, Reliability
from multimodal_attn.evaluation.statistics import figures_of
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.runs.evaluations.decoding import Decoded
from multimodal_attn.runs.loading import Run

log = logging.getLogger(__name__)


@dataclass
class Figures:
    """What an evaluation has found.

    Attributes:
        metrics: figures by name.
        intervals: the 95 % interval of each figure that has one.
        reliability: what confidence is worth; None for a run without a temperature.
        alarms: sentences that a reader must see before the maps.
    """

    metrics: dict[str, float]
    intervals: dict[str, Interval]
    reliability: Reliability | None = None
    alarms: list[str] = field(default_factory=list)

    @property
    def temperature(self) -> float | None:
        """Of the confidence of words."""
        return None if self.reliability is None else self.reliability.temperature

    def add(self, metrics: Mapping[str, float], ends: Mapping[str, Interval]) -> None:
        """Takes in further figures, with their intervals."""
        self.metrics |= metrics
        self.intervals |= ends


def score(run: Run, predictor: Predictor, settings: Mapping[str, Any], scores: TextScores, found: Decoded) -> Figures:
    """The figures of a split.

    Args:
        run: that was evaluated.
        predictor: that has decoded it.
        settings: of ``conf/evaluate.yaml``.
        scores: of the run's texts.
        found: the whole split.
    """
    source = run.data.source(settings["split"])
    texts, references = [p["text"] for p in found.predictions], [p["references"] for p in found.predictions]
    metrics, statistics = scores.scored(texts, references)
    metrics |= scores.corpus_scores(texts, lambda: _training_texts(run))
    if source.reader.modality == "text":
        of_sources = scores.source_statistics(texts, references, found.sources)
        metrics |= figures_of(of_sources, len(texts))
        statistics += of_sources
    extra, missing = scores.extra_scores(settings["extra_scores"], texts, references)
    for line in missing:
        log.warning(line)
    metrics |= extra | found.attention_scores.compute()
    statistics += found.attention_scores.statistics()
    reliability = _calibrate(found, predictor, settings, scores)
    if reliability is not None:
        metrics |= reliability.figures()
        statistics += reliability.statistics(len(texts))
    metrics["num_parameters"] = sum(parameter.numel() for parameter in predictor.model.parameters())
    metrics |= _counts(run, settings, found)
    return Figures(metrics, intervals(statistics, len(texts)), reliability)


def _counts(run: Run, settings: Mapping[str, Any], found: Decoded) -> dict[str, float]:
    """How many examples there are, and of how many there is something to tell."""
    split = settings["split"]
    skipped, cut = run.data.skipped(split) + found.skipped, run.data.source(split).cut
    counts: dict[str, float] = {"num_examples": len(found.predictions), "num_skipped": len(skipped)}
    if cut:
        counts["num_cut"] = len(cut)
    for flag in ("empty", "looped", "hit_max_length"):
        counts[f"num_{flag}"] = sum(flag in p["flags"] for p in found.predictions)
    if settings["word_times"] == "ctc":
        counts["num_without_ctc_path"] = sum(p["word_times"] != "ctc" for p in found.predictions)
    return counts


def _calibrate(
    found: Decoded, predictor: Predictor, settings: Mapping[str, Any], scores: TextScores
) -> Reliability | None:
    """Finds the temperature of a validation set, or takes the one that the run's has found; None without either."""
    temperature = None if settings["split"] == "val" else predictor.temperature
    if settings["split"] != "val" and temperature is None:
        log.info("no confidence: the run has no temperature yet; evaluating its val split finds it")
        return None
    right = [scores.right_words(p["text"].split(), p["references"]) for p in found.predictions]
    examples = [number for number, words in enumerate(found.log_probs) for _ in words]
    log_probs = [value for words in found.log_probs for value in words]
    words = Confidences(examples, log_probs, [each for some in right for each in some])
    return words.calibrated(temperature) if examples else None


def _training_texts(run: Run) -> list[str] | None:
    """None where the training data are not at hand: a run may be evaluated elsewhere."""
    try:
        return run.data.source("train").texts()
    except (OSError, ValueError):
        return None
