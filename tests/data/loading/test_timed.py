from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multimodal_attn.data.loading.timed import Timed
from multimodal_attn.data.reading.word_times import TimedText, read_word_times, write_word_times
from multimodal_attn.types import Example, Span, Target
from tests.data.listed import Listed

SPANS = (Span(0.1, 0.3), Span(0.3, 0.5))
SOURCE = Listed(
    [
        Example("a", torch.zeros(16_000), (Target("go on", times=(Span(0, 1), Span(1, 2))),), 16_000),
        Example("b", torch.zeros(16_000), (Target("stop"),), 16_000),
    ]
)


def write(path: Path, text: str = "go on", split: str = "val") -> Path:
    write_word_times(path, [TimedText(split, "a", Target(text, times=SPANS, timed_by="an aligner"))])
    return path


def test_times_take_the_place_of_the_datas_own(tmp_path: Path) -> None:
    timed = Timed(SOURCE, "val", write(tmp_path / "times.jsonl"))
    assert timed[0].targets == (Target("go on", times=SPANS, timed_by="an aligner"),)
    assert timed[1].targets == (Target("stop"),)
    assert timed.lengths() == [1.0, 1.0]


@pytest.mark.parametrize(("text", "split"), [("go off", "val"), ("go on", "test")])
def test_a_file_of_other_texts_or_another_split(tmp_path: Path, text: str, split: str) -> None:
    with pytest.raises(ValueError, match=r"data.word_times: .* has no times for the texts of the val split"):
        Timed(SOURCE, "val", write(tmp_path / "times.jsonl", text, split))


@pytest.mark.parametrize(
    "line",
    [
        '{"split": "val", "key": "a", "by": "x"}',
        '{"split": "val", "key": "a", "by": "x", "words": [{"word": "go", "start": 2, "end": 1}]}',
        "no json",
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "times.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=r"times.jsonl:2'.*expected lines of"):
        read_word_times(tmp_path / "times.jsonl", "data.word_times")


def test_pictures_have_no_word_times(tmp_path: Path) -> None:
    photos = Listed([Example("a", torch.zeros(3, 4, 4, dtype=torch.uint8), (Target("go on"),))])
    with pytest.raises(ValueError, match="a picture has no word times"):
        Timed(photos, "val", write(tmp_path / "times.jsonl"))
