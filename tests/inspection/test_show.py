from __future__ import annotations

import html
import re

import numpy as np
import pytest

from multimodal_attn.inspection.figures.canvas import DPI
from multimodal_attn.inspection.page.page import render_page
from multimodal_attn.inspection.show import NotebookView, figure_of, html_of
from multimodal_attn.inspection.views import view_of
from multimodal_attn.prediction.prediction import Prediction
from tests.inspection.records import photo_record, speech_record, text_record


@pytest.mark.parametrize("record", [photo_record(), speech_record(), text_record()], ids=["photo", "speech", "text"])
def test_a_figure_is_the_sheet_pixel_by_pixel(record: Prediction) -> None:
    figure = figure_of(record)
    sheet = np.asarray(view_of(record).draw())
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    assert figure.get_dpi() == DPI
    assert pixels.shape == sheet.shape
    assert np.abs(pixels.astype(int) - sheet).mean() < 0.5


def test_a_frame_holds_the_whole_page_and_nothing_of_it_leaks() -> None:
    found = html_of([photo_record(key='"><script>'), speech_record()], title="two", height=500)
    (page,) = re.findall(r'srcdoc="([^"]*)"', found)
    assert html.unescape(page) == render_page([photo_record(key='"><script>'), speech_record()], "two")
    assert "height:500px" in found
    assert re.findall(r"<(\w+)", found) == ["iframe"]
    assert 'sandbox="allow-scripts"' in found


def test_a_prediction_is_shown_by_itself() -> None:
    assert NotebookView().html(photo_record()) == html_of([photo_record()])
    assert NotebookView().figure(photo_record()).get_size_inches() == pytest.approx(
        figure_of(photo_record()).get_size_inches()
    )
