from __future__ import annotations

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from multimodal_attn.inspection.colors import blend, heat_colors, heat_limit
from multimodal_attn.inspection.curves import draw_curves
from multimodal_attn.inspection.figure import draw
from multimodal_attn.inspection.overlay import MAX_WORDS, draw_overlay
from multimodal_attn.inspection.timeline import HOP_SECONDS, MEL_BINS, draw_timeline, log_mel
from multimodal_attn.types import TokenAxis
from tests.inspection.records import photo_record, speech_record


def texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts] + [label.get_text() for label in axes.get_yticklabels()]
    return "\n".join(found)


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def panel(figure: Figure, index: int) -> np.ndarray:
    return np.asarray(figure.axes[index].images[0].get_array())


def test_overlay_says_word_entropy_peak_hypothesis_and_reference():
    text = texts(draw_overlay(photo_record()))
    assert "a red dog" in text
    assert "reference: a dog (+1)" in text
    assert "entropy 1.00 · peak 0.042" in text  # a uniform map of 24 cells
    assert "peak 0.77" in text


def test_overlay_says_the_gate_of_each_word_where_there_is_one():
    record = photo_record()
    assert "beta" not in texts(draw_overlay(record))
    text = texts(draw_overlay(replace(record, gate=[0.1, 0.25, 1.0], gate_name="beta")))
    assert "peak 0.042 · beta 0.25" in text
    assert "beta: share of the context that was let through" in text


def test_overlay_has_the_photo_a_panel_for_each_word_and_one_scale():
    figure = draw_overlay(photo_record())
    assert [len(axes.images) for axes in figure.axes] == [1] * 5


@pytest.mark.parametrize("smooth", [True, False])
def test_overlay_heats_the_right_cell_and_stays_below_the_limit(smooth: bool):
    record = photo_record()
    picture = panel(draw_overlay(record, smooth=smooth), 3)
    rows, columns = picture.shape[:2]
    yellow = picture[..., 0] - picture[..., 2]  # the top of the scale is yellow
    row, column = np.unravel_index(yellow.argmax(), yellow.shape)
    assert (row * 4 // rows, column * 6 // columns) == (1, 2)


def test_a_uniform_map_looks_flat_beside_a_sharp_one():
    record = photo_record()
    record.source = np.full_like(record.source, 128)
    picture = panel(draw_overlay(record), 1)
    assert np.ptp(picture.reshape(-1, 3), axis=0).max() < 0.01
    assert picture.max() < 0.5  # far from the top of the scale, which the third word sets


def test_the_limit_of_the_scale_can_be_shared():
    record, other = photo_record(words="a"), photo_record()
    assert heat_limit([record]) == pytest.approx(0.77)
    record.weights[:] = 1 / 24
    record = replace(record)  # the cached maps belong to the old weights
    assert heat_limit([record, other]) == pytest.approx(0.77)
    alone, shared = (panel(draw(record, limit), 1).mean() for limit in (None, 0.77))
    assert alone > shared + 0.1


def test_true_boxes_lie_where_they_should():
    figure = draw_overlay(photo_record())
    axes = figure.axes[3]
    (box,) = axes.patches
    rows, columns = panel(figure, 3).shape[:2]
    assert box.get_x() == pytest.approx(0.3 * columns - 0.5)
    assert box.get_height() == pytest.approx(0.4 * rows)
    assert not figure.axes[1].patches


def test_long_captions_and_odd_texts_are_drawn():
    record = photo_record(words=" ".join(f"w{i}$^{{" for i in range(60)))
    record.references = ["$\\frac{ never closed"]
    figure = draw_overlay(record)
    assert pixels(figure).size
    assert f"{60 - MAX_WORDS} more words not shown" in texts(figure)


def test_empty_hypotheses_are_drawn():
    assert "(empty hypothesis)" in texts(draw(photo_record(words="")))
    record = speech_record()
    record.tokens, record.words, record.text, record.times = [], [], "", {}
    record.weights = record.weights[:0]
    figure = draw(record)
    assert pixels(figure).size
    assert "(empty hypothesis)" in texts(figure)


def test_timeline_shares_one_axis_in_seconds():
    figure = draw_timeline(speech_record(seconds=1.0))
    mel, matrix = figure.axes[:2]
    assert mel.get_xlim() == matrix.get_xlim() == (0.0, 1.0)
    assert matrix.images[0].get_extent() == [0.0, pytest.approx(1.0), 4.5, -0.5]


def test_timeline_says_tokens_words_and_truth():
    figure = draw_timeline(speech_record())
    text = texts(figure)
    assert "g\no\n␣\nu\np" in text
    assert "entropy" in text
    assert "hit_max_length" in text
    first, second = figure.axes[1].patches
    assert (first.get_x(), first.get_width(), first.get_y(), first.get_height()) == (0.0, 0.4, -0.5, 2)
    assert (second.get_x(), second.get_y()) == (0.4, 2.5)


def test_timeline_of_many_tokens_labels_words():
    record = speech_record()
    record.weights = np.repeat(record.weights, 60, axis=0)
    record.tokens = ["x"] * 300
    record.words = [(f"word{i}", 10 * i, 10 * i + 10) for i in range(30)]
    figure = draw_timeline(record)
    assert figure.get_size_inches()[1] < 16
    assert pixels(figure).size
    assert "word29" in [label.get_text() for label in figure.axes[1].get_yticklabels()]


@pytest.mark.parametrize("samples", [1, 400, 16_000])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
@pytest.mark.filterwarnings("error")
def test_log_mel_of_any_length_and_rate(samples: int, sample_rate: int):
    mel = log_mel(np.ones(samples, dtype=np.float32), sample_rate)
    assert mel.shape[0] == MEL_BINS
    assert mel.shape[1] * HOP_SECONDS >= samples / sample_rate
    assert np.isfinite(mel).all()


def test_log_mel_shows_a_tone_when_it_sounds():
    seconds = np.arange(16_000) / 16_000
    tone = np.where(seconds > 0.5, np.sin(2 * np.pi * 1000 * seconds), 0).astype(np.float32)
    loud = log_mel(tone, 16_000).max(axis=0)
    assert loud[:45].max() < loud[55:-2].min() - 40


def test_colours_run_from_dark_to_light():
    colors = heat_colors(np.linspace(0, 1, 50), 1.0)
    lightness = colors @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()
    np.testing.assert_array_equal(heat_colors(np.array([np.nan, 5.0]), 1.0), colors[[0, -1]])


def test_blend_keeps_a_photo_visible_where_there_is_no_weight():
    photo = np.zeros((1, 2, 3), dtype=np.float32)
    photo[0, 1] = 1
    dark, light = blend(photo, np.zeros((1, 2)), 1.0)[0]
    assert light.min() - dark.max() > 0.5


def test_other_layouts_are_refused():
    record = photo_record()
    record.layout = TokenAxis()
    with pytest.raises(ValueError, match=r"photo\.jpg.*TokenAxis"):
        draw(record)
    with pytest.raises(ValueError, match="Timeline"):
        draw_timeline(photo_record())
    with pytest.raises(ValueError, match="Grid"):
        draw_overlay(speech_record())


def test_figures_leave_no_state_behind():
    before = "matplotlib.pyplot" in sys.modules
    buffer = io.BytesIO()
    draw(photo_record()).savefig(buffer)
    assert Image.open(buffer).width == pytest.approx(110 * draw(photo_record()).get_size_inches()[0], abs=1)
    if before:
        from matplotlib import pyplot

        assert not pyplot.get_fignums()
    else:
        assert "matplotlib.pyplot" not in sys.modules


def test_curves_have_a_panel_each_and_a_line_for_each_method() -> None:
    lines = {"attention": [-1.0, -3.0], "random": [-1.0, -1.5]}
    figure = draw_curves({"memory": {"deletion": lines, "insertion": lines}, "input": {"deletion": lines}}, (0.0, 0.8))
    assert [axes.get_title() for axes in figure.axes] == [
        "deletion in the memory",
        "insertion in the memory",
        "deletion in the picture or recording",
    ]
    attention, random = figure.axes[0].lines
    assert list(attention.get_xdata()) == [0, 80]
    assert list(attention.get_ydata()) == [-1, -3]
    assert random.get_label() == "random cells"
