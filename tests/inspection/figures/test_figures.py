from __future__ import annotations

import numpy as np
import pytest

from multimodal_attn.inspection.figures.canvas import DPI, Canvas
from multimodal_attn.inspection.figures.colors import above_uniform, blend, heat_colors
from multimodal_attn.inspection.figures.curves import draw_curves
from multimodal_attn.inspection.figures.log_mel import HOP_SECONDS, MEL_BINS, log_mel


def test_pictures_keep_their_cells_and_lie_where_they_should():
    canvas = Canvas(2.0, 1.0)
    pixels = np.array([[[1.0, 0, 0], [0, 1.0, 0]]])
    canvas.picture(pixels, (0.5, 0.2, 1.5, 0.6))
    found = np.asarray(canvas.image)
    assert found.shape == (DPI, 2 * DPI, 3)
    assert (found[22:66, 55:110] == [255, 0, 0]).all()
    assert (found[22:66, 110:165] == [0, 255, 0]).all()
    assert (found[:22] == 255).all()
    assert (found[66:] == 255).all()
    assert (found[:, :55] == 255).all()
    assert (found[:, 165:] == 255).all()


def test_pictures_are_clipped_and_averaged():
    canvas = Canvas(2.0, 1.0)
    pixels = np.array([[[1.0, 0, 0], [0, 1.0, 0]]])
    canvas.picture(pixels, (0.5, 0.2, 1.5, 0.6), clip=(0.9, 0.0, 1.2, 0.4))
    found = np.asarray(canvas.image)
    assert (found[22:44, 99:110] == [255, 0, 0]).all()
    assert (found[22:44, 110:132] == [0, 255, 0]).all()
    assert (found != 255).any(2).sum() == 22 * 33
    canvas = Canvas(1.0, 1.0)
    canvas.picture(np.tile([[[0.0] * 3, [1.0] * 3]], (1, DPI, 1)), (0.0, 0.0, 1.0, 1.0))  # two pixels for each of ours
    assert (abs(np.asarray(canvas.image).astype(int) - 128) <= 1).all()


def test_rings_and_frames_lie_around_what_they_mark():
    canvas = Canvas(1.0, 1.0)
    canvas.ring(0.5, 0.5, 0.2, "#000000")
    rows, columns = np.nonzero(np.asarray(canvas.image)[..., 0] < 128)
    for found in (rows, columns):
        assert (found.min() + found.max()) / 2 == pytest.approx(0.5 * DPI, abs=1)
        assert found.max() - found.min() == pytest.approx(0.4 * DPI, abs=3)
    assert np.asarray(canvas.image)[55, 55, 0] == 255
    canvas.frame((0.1, 0.2, 0.9, 0.8), "#ff0000")
    red = np.nonzero((np.asarray(canvas.image) == [255, 0, 0]).all(2))
    assert [(axis.min(), axis.max()) for axis in red] == [(22, 87), (11, 98)]


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


def test_colors_run_from_dark_to_light():
    colors = heat_colors(np.linspace(0, 1, 50), 1.0)
    lightness = colors @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()
    np.testing.assert_array_equal(heat_colors(np.array([np.nan, 5.0]), 1.0), colors[[0, -1]])


def test_only_what_is_above_uniform_is_drawn_over_a_photo():
    weights = np.array([[0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1], [np.nan, 0.5, 0.5, 0.0]])
    np.testing.assert_allclose(above_uniform(weights), [[0, 0, 0, 0], [0.45, 0, 0, 0], [0, 0.25, 0.25, 0]])
    assert above_uniform(np.zeros((2, 0))).shape == (2, 0)


def test_blend_keeps_a_photo_visible_where_there_is_no_weight():
    photo = np.zeros((1, 2, 3), dtype=np.float32)
    photo[0, 1] = 1
    dark, light = blend(photo, np.zeros((1, 2)), 1.0)[0]
    assert light.min() - dark.max() > 0.5


def test_curves_have_a_panel_each_and_a_line_for_each_method() -> None:
    lines = {"attention": [-1.0, -3.0], "random": [-1.0, -1.5]}
    figure = draw_curves({"memory": {"deletion": lines, "insertion": lines}, "input": {"deletion": lines}}, (0.0, 0.8))
    assert [axes.get_title() for axes in figure.axes] == [
        "deletion in the memory",
        "insertion in the memory",
        "deletion in the source",
    ]
    attention, random = figure.axes[0].lines
    assert list(attention.get_xdata()) == [0, 80]
    assert list(attention.get_ydata()) == [-1, -3]
    assert random.get_label() == "random cells"
