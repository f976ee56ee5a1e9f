from __future__ import annotations

from pathlib import Path

import pytest

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
)

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


def test_the_documentation_holds_the_table(repository: Path) -> None:
    text = (repository / "docs" / "measures.md").read_text(encoding="utf-8")
    assert markdown() in text, "docs/measures.md: replace its last part by multimodal_attn.measures.markdown()"
