from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import ClassVar

from rich.console import Console

from multimodal_attn.evaluation.texts.base import TextScores
from multimodal_attn.measures import MEASURES, Measure
from multimodal_attn.runs.evaluations.report import print_report

METRICS = {
    "wer": 0.0213,
    "deletions": 0.01,
    "onset_error_ms": 36.4,
    "onset_even_ms": 161.0,
    "pointing_accuracy": 0.5,
    "pointing_center": 0.55,
    "faithfulness_deletion": 1.83,
    "attention_coverage": 0.25,
    "num_examples": 5000.0,
    "num_skipped": 3,
}


def printed(metrics: Mapping[str, float], own: tuple[Measure, ...] = (), verbose: bool = False) -> str:
    console = Console(file=StringIO(), width=120)
    print_report(
        metrics, "a run/val", own, verbose, console, {"faithfulness_deletion": (1.7, 1.9), "wer": (0.01, 0.03)}
    )
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_headline_stands_first_beside_its_baselines() -> None:
    lines = [line.split() for line in printed(METRICS).splitlines() if line.strip()]
    assert lines[0] == ["a", "run/val"]
    texts = [" ".join(line) for line in lines[1:5]]
    assert texts == [
        "Word error rate 2.1 % 1.0 to 3.0 %",
        "Word onset error 36 ms better than 161 ms (words spread evenly)",
        "Pointing accuracy 50.0 % no better than 55.0 % (always the center)",
        "Faithfulness, deletion 1.830 nats 1.700 to 1.900 nats better than chance (0)",
    ]


def test_a_folder_stands_on_one_line_however_narrow_the_figures_are() -> None:
    console = Console(file=StringIO(), width=70)
    folder = "/a/folder/that/is/longer/than/any/row/of/the/table/outputs/run/evaluation/val"
    print_report({"rouge1": 0.3, "rouge1_first": 0.2, "perplexity": 3.0}, folder, console=console)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines()[0] == folder
    told = printed({"rouge1": 0.3, "rouge1_first": 0.2})
    assert "better than 0.200 (ROUGE-1, the first three sentences or turns)" in told


def test_groups_take_a_line_and_the_rest_is_counted() -> None:
    text = printed(METRICS)
    assert "Texts: Missing words 1.0 %" in text
    assert "Attention: Cells attended 25.0 %" in text
    assert "Counts: Examples 5000 · Skipped files 3" in text
    assert "2 more in metrics.json, printed with verbose=true" in text
    assert "onset_even_ms" not in text


def test_sixty_figures_are_a_screen() -> None:
    assert len(printed(dict.fromkeys(MEASURES, 0.5)).splitlines()) < 35


def test_everything_on_request() -> None:
    text = printed(METRICS, verbose=True)
    assert all(name in text for name in METRICS)
    assert "more in" not in text


class Rhymes(TextScores):
    """A score from elsewhere, with a figure that it explains and one that it does not."""

    monitor: ClassVar[str] = "rhymes"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("rhymes", "Lines that rhyme", "share", "higher", headline=0),)

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        return {"rhymes": 0.5, "odd [bold]name": 0.25}


def test_a_score_from_elsewhere_is_printed_with_and_without_a_measure() -> None:
    scores = Rhymes()
    found = scores(["a"], [["a"]]) | scores.corpus_scores(["a"], lambda: None)
    text = printed(found, scores.measures)
    assert "Lines that rhyme   50.0 %" in text
    assert "Other figures: odd [bold]name 0.250" in text
