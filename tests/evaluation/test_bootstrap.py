from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from multimodal_attn.evaluation.bootstrap import NUM_RESAMPLES, Interval, draws, interval, intervals
from multimodal_attn.evaluation.statistics import Mean, Number
from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.evaluation.texts.captions import CaptionScores
from multimodal_attn.evaluation.texts.summaries import SummaryScores
from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.evaluation.texts.translations import TranslationScores

WORDS = np.array("a dog runs on the red roof and sees kites".split())


def test_draws_are_whole_sets_and_always_the_same() -> None:
    counts = np.concatenate(list(draws(5000)))
    assert counts.shape == (NUM_RESAMPLES, 5000)
    assert (counts.sum(axis=1) == 5000).all()
    assert np.array_equal(counts, np.concatenate(list(draws(5000))))
    assert 0.3 < (counts == 0).mean() < 0.44  # 1 / e: drawn with replacement


def test_an_interval_holds_the_mean_of_normal_values_as_the_textbook_says() -> None:
    values = np.random.default_rng(1).normal(size=400)
    ends = intervals([Mean("x", values, np.arange(400))], 400)["x"]
    error = values.std() / 20
    assert ends.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert ends.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_words_of_an_example_are_resampled_together() -> None:
    values, examples = np.repeat([0.0, 1.0, 2.0, 3.0], 50), np.repeat(np.arange(4), 50)
    together = intervals([Mean("x", values, examples)], 4)["x"]
    apart = intervals([Mean("x", values, np.arange(200))], 200)["x"]
    assert together.high - together.low > 3 * (apart.high - apart.low)
    assert intervals([Mean("x", np.full(9, 2.0), np.arange(9))], 9) == {"x": Interval(2, 2)}


def test_what_has_no_interval() -> None:
    one = [Mean("x", np.ones(1), np.zeros(1, dtype=int))]
    assert intervals(one, 1) == {}
    assert intervals([Number("pointing_num_words", np.arange(9))], 9) == {}  # a count
    assert interval(np.full(3, np.nan)) is None


@pytest.mark.parametrize("make", [CaptionScores, SummaryScores, TranscriptScores, TranslationScores])
def test_resampled_scores_are_those_of_the_texts_written_out(
    make: Callable[[], TextScores], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=random.integers(4, 9))) for _ in range(12)]
    references = [[text.replace("dog", "cat"), " ".join(random.choice(WORDS, size=6))] for text in texts]
    scores = make()
    counted: list[list[str]] = []

    def count(written: list[str], wanted: list[list[str]]) -> list[Any]:
        counted.append(written)
        return list(make().statistics(written, wanted))

    monkeypatch.setattr(scores, "statistics", count)
    metrics, statistics = scores.scored(texts, references)
    assert len(counted) == 1  # an evaluation has all from one count
    counts = np.array([[1] * 12, [3, 0, 1, 1, 0, 2, 2, 0, 0, 1, 1, 1]], dtype=float)
    found = {name: value for each in statistics for name, value in each.figures(counts).items()}
    assert {name: value[0] for name, value in found.items()} == pytest.approx(metrics)
    chosen = np.repeat(np.arange(12), counts[1].astype(int))
    again = make()([texts[i] for i in chosen], [references[i] for i in chosen])
    again.pop("cider_d", None)  # whose document frequencies would be those of the resample
    assert {name: found[name][1] for name in again} == pytest.approx(again)
    for name, ends in intervals(statistics, 12).items():
        assert ends.low <= found[name][0] <= ends.high, name
