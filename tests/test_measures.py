from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multimodal_attn.evaluation.attention.cells.base import Text
from multimodal_attn.evaluation.attention.cells.pictures import PictureCells
from multimodal_attn.evaluation.attention.cells.recordings import RecordingCells
from multimodal_attn.evaluation.attention.cells.texts import TextCells
from multimodal_attn.evaluation.attention.shape import text_shape
from multimodal_attn.evaluation.confidence import Confidences
from multimodal_attn.evaluation.live import LiveScores
from multimodal_attn.evaluation.statistics import figures_of
from multimodal_attn.evaluation.texts.captions import CaptionScores
from multimodal_attn.evaluation.texts.summaries import SummaryScores
from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.evaluation.texts.translations import TranslationScores
from multimodal_attn.measures import (
    GROUPS,
    MEASURES,
    NUM_HEADLINE,
    Measure,
    beats,
    beside,
    groups,
    headline,
    markdown,
    measure,
    shown,
    shown_interval,
)
from multimodal_attn.types import Box, Grid, Span, Target, Timeline
from tests.evaluation.attention.test_copying import scores as copying
from tests.evaluation.faithfulness.test_scores import measure as faithfulness

OWN = (Measure("rhymes", "Lines that rhyme", "share", "higher", headline=-1), Measure("wer", "Another rate", "number"))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("num_examples", 5000.0, "5000"),
        ("wer", 0.05123, "5.1 %"),
        ("bleu_4", 0.34219, "0.342"),
        ("cider_d", 6.6, "6.600"),
        ("onset_error_ms", 36.2, "36 ms"),
        ("onset_bias_ms", -3.21, "-3.2 ms"),
        ("faithfulness_deletion", 1.83, "1.830 nats"),
        ("peak_memory_mb", 512345.0, "512345 MB"),
        ("attention_effective_cells", 12.345, "12.35"),
        ("anything", 0.5, "0.500"),
        ("wer", float("nan"), "nan"),
        ("wer", None, ""),
    ],
)
def test_figures_are_shown_in_their_unit(name: str, value: float | None, text: str) -> None:
    assert shown(name, value) == text


def test_intervals_have_their_unit_once() -> None:
    assert shown_interval("wer", (0.0481, 0.0543)) == "4.8 to 5.4 %"
    assert shown_interval("onset_bias_ms", (-3.0, 12.4)) == "-3.0 to 12 ms"
    assert shown_interval("bleu_4", (0.2, 0.25)) == "0.200 to 0.250"


def test_the_headline_goes_from_texts_to_attention_and_is_short() -> None:
    names = [found.name for found in headline(dict.fromkeys(reversed(MEASURES), 0.5))]
    assert names[:3] == ["wer", "cer", "cider_d"]
    assert len(names) == NUM_HEADLINE
    few = {"attention_peak": 1.0, "pointing_center": 0.1, "pointing_accuracy": 0.9, "bleu_1": 0.2}
    assert [found.name for found in headline(few)] == ["pointing_accuracy", "attention_peak"]


def test_baselines_are_figures_and_tell_better_from_worse() -> None:
    for found in MEASURES.values():
        if isinstance(found.baseline, str):
            assert MEASURES[found.baseline].unit == found.unit
            assert MEASURES[found.baseline].detail
    metrics = {"pointing_accuracy": 0.5, "pointing_center": 0.6, "onset_error_ms": 40.0, "onset_even_ms": 161.0}
    assert beside(metrics, measure("pointing_accuracy")) == 0.6
    assert beats(metrics, measure("pointing_accuracy")) is False
    assert beats(metrics, measure("onset_error_ms")) is True
    assert beats({"wer": 0.1}, measure("wer")) is None
    assert beats({"faithfulness_deletion": -0.1}, measure("faithfulness_deletion")) is False
    assert beats({"pointing_accuracy": 0.5}, measure("pointing_accuracy")) is None  # its baseline was not measured


def test_every_figure_is_in_one_group() -> None:
    found = groups(dict.fromkeys([*MEASURES, "unheard_of"], 0.0))
    assert list(found) == list(GROUPS.values())
    assert sum(map(len, found.values())) == len(MEASURES) + 1
    assert groups({"wer": 0.1, "cer": 0.2}) == {"Texts": [measure("wer"), measure("cer")]}


def test_titles_tell_figures_apart() -> None:
    titles = [found.title for found in MEASURES.values()]
    assert len(set(titles)) == len(titles)
    assert all(found.meaning for found in MEASURES.values())


def test_a_score_from_elsewhere_may_declare_its_own_figures_or_not() -> None:
    assert measure("rhymes").title == "rhymes"
    assert shown("rhymes", 0.5, OWN) == "50.0 %"
    assert shown("wer", 0.5, OWN) == "0.50"
    assert [found.name for found in headline({"bleu_4": 0.1, "rhymes": 0.2}, OWN)] == ["rhymes", "bleu_4"]
    assert groups({"rhymes": 0.2}, OWN) == {"Texts": [OWN[0]]}
    assert groups({"rhymes": 0.2}) == {"Other figures": [measure("rhymes")]}


def test_every_figure_that_a_score_gives_is_in_the_table() -> None:
    texts, references = ["a red kite", "a dog"], [["a red kite flies"], ["the dog"]]
    given = set(TranscriptScores()(texts, references)) | set(TranslationScores()(texts, references))
    summaries = SummaryScores()
    given |= set(summaries(texts, references)) | set(
        figures_of(summaries.source_statistics(texts, references, texts), 2)
    )
    captions = CaptionScores()
    given |= set(captions(texts, references)) | set(captions.corpus_scores(texts, lambda: ["a dog"]))
    given |= set(captions.extras)
    box, span, words = (Box(0, 0, 1, 1),), Span(0.0, 0.2), [(0, 1)]
    pictures, recordings, read = PictureCells(), RecordingCells(), TextCells()
    pictures.compare(Text(np.eye(4)[:1], words, np.eye(4)[0]), Target("a", {0: box}), Grid(2, 2))
    recordings.compare(Text(np.eye(4)[:1], words), ["a"], Target("a", times=(span,)), Timeline(0.1), [span])
    read.compare(Text(np.eye(4)[:1], words), Target("a", read_from={0: (0,)}), words)
    given |= {name for cells in (pictures, recordings, read) for name in cells.compute()}
    given |= set(copying("Ida saw Rex monday", [2, 3, 4, 6], [0.9, 0.1, 0.8, 0.6]))
    live = LiveScores()
    live.add(["a"], [0.5], "a", Target("a", times=(span,)), ["an"], [0.1], 1.0)
    given |= set(live.compute())
    shapes = text_shape(np.eye(4), ordered=True)
    given |= {f"attention_{name}" for name in ("entropy", "peak", "effective_cells", "sink", *shapes)}
    given |= set(Confidences([0], [-0.1], [True]).calibrated().figures())
    for methods in (faithfulness("true"), faithfulness("wrong", moved=10)):
        given |= set(methods.compute())
    # What this small model lacks: layers of self-attention in the decoder.
    given |= {f"faithfulness_rollout_{kind}" for kind in ("deletion", "insertion")}
    assert given <= set(MEASURES)
    others = {name for name in MEASURES if not name.startswith(("num_", "collapse_"))} - given
    masked = {"masked_accuracy", "masked_accuracy_frequent", "masked_perplexity", "pseudo_perplexity"}
    # Nor has it a name that nothing gives.
    assert others == {"perplexity", "step_ms", "peak_memory_mb", "loss", *masked}


def test_the_documentation_holds_the_table(repository: Path) -> None:
    text = (repository / "docs" / "measures.md").read_text(encoding="utf-8")
    assert markdown() in text, "docs/measures.md: replace its last part by multimodal_attn.measures.markdown()"


def test_a_figure_against_an_aligner_says_so() -> None:
    found = measure("aligner_onset_error_ms")
    assert found.title == "Word onset error, against an aligner"
    assert (found.unit, found.baseline) == ("ms", "aligner_onset_even_ms")
    assert [each.name for each in headline({"wer": 0.1, "aligner_onset_error_ms": 20.0})] == [
        "wer",
        "aligner_onset_error_ms",
    ]
