"""What the sliders of the page do, and what stands where no answer can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal_attn import load
from multimodal_attn.demo.asking import Asked, answer
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.serving.limits import Limits

pytestmark = pytest.mark.parametrize("exported", ["pictures"], indirect=True)


@pytest.fixture(scope="module", params=[0, 1], ids=["run", "exported folder"])
def predictor(request: pytest.FixtureRequest, exported: tuple[Path, Path]) -> Predictor:
    return load(exported[request.param])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A photo."""
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "<b>.png")
    return tmp_path / "<b>.png"


def written(predictor: Predictor, source: Path, asked: Asked) -> list[Prediction]:
    best = predictor.with_search(asked.search(predictor))(source)
    return [best, *best.others]


def test_lengths_hold(predictor: Predictor, source: Path) -> None:
    short = written(predictor, source, Asked(width=3, max_length=2))
    assert all(len(found.tokens) <= 2 for found in short)
    long = written(predictor, source, Asked(width=2, min_length=4, max_length=5))
    assert all(4 <= len(found.tokens) <= 5 for found in long)


def test_the_beam_is_that_of_the_run_unless_told_otherwise(predictor: Predictor, source: Path) -> None:
    found = written(predictor, source, Asked(max_length=predictor.search.max_length))
    expected = predictor(source)
    assert [one.text for one in found] == [one.text for one in (expected, *expected.others)]


def test_a_temperature_draws(predictor: Predictor, source: Path) -> None:
    asked = Asked(width=4, max_length=6, temperature=2.0)
    drawn = {tuple(found.text for found in written(predictor, source, asked)) for _ in range(5)}
    assert all(len(texts) == 4 for texts in drawn)
    assert len(drawn) > 1


def test_an_answer_is_the_inspection_page_in_a_frame(predictor: Predictor, source: Path) -> None:
    found = answer(predictor, source, Asked(), Limits())
    assert found.startswith('<iframe title="attention" sandbox="allow-scripts"')
    assert "<b>" not in found  # the name of the file


def test_what_cannot_be_answered_is_said(predictor: Predictor, source: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.write_bytes(b"<b>no such thing")
    said = answer(predictor, torn, Asked(), Limits())
    assert 'role="alert"' in said
    assert f"expects {predictor.reader.phrase}" in said
    assert "<b>" not in said
    assert "expected at most" in answer(predictor, source, Asked(), Limits(max_megapixels=1e-4, max_seconds=0.1))
    assert "shortest text: 9 tokens" in answer(predictor, source, Asked(min_length=9, max_length=8), Limits())
