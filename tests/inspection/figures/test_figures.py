from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from multimodal_attn.inspection.figures.canvas import DPI, Area, Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, blend, heat_colors, heat_limit
from multimodal_attn.inspection.figures.curves import draw_curves
from multimodal_attn.inspection.figures.figure import draw
from multimodal_attn.inspection.figures.matrix import draw_matrix
from multimodal_attn.inspection.figures.overlay import MAX_WORDS, PANEL_INCHES, draw_overlay
from multimodal_attn.inspection.figures.timeline import HOP_SECONDS, MEL_BINS, WIDTH_INCHES, draw_timeline, log_mel
from multimodal_attn.types import TokenAxis
from tests.inspection.records import photo_record, speech_record, text_record


@dataclass
class Drawn:
    """What was put on canvases, in inches from the top left, until it is cleared."""

    texts: list[str] = field(default_factory=list)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    pictures: list[tuple[np.ndarray, Area]] = field(default_factory=list)
    truth: list[Area] = field(default_factory=list)  # frames
    rings: list[tuple[float, float]] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(self.texts)

    def clear(self) -> None:
        for entries in (self.texts, self.places, self.pictures, self.truth, self.rings):
            entries.clear()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    found = Drawn()
    write, put, frame, ring = Canvas.text, Canvas.picture, Canvas.frame, Canvas.ring
    write_upwards = Canvas.text_upwards

    def text(self: Canvas, x: float, y: float, text: str, *arguments: Any, **others: Any) -> None:
        found.texts.append(text)
        found.places[text] = (x, y)
        write(self, x, y, text, *arguments, **others)

    def text_upwards(self: Canvas, x: float, y: float, text: str, *arguments: Any) -> None:
        found.texts.append(text)
        found.places[text] = (x, y)
        write_upwards(self, x, y, text, *arguments)

    def picture(self: Canvas, pixels: np.ndarray, area: Area, clip: Area | None = None) -> None:
        found.pictures.append((pixels, area))
        put(self, pixels, area, clip)

    def framed(self: Canvas, area: Area, color: str, points: float = 1.0) -> None:
        if color == TRUTH:
            found.truth.append(area)
        frame(self, area, color, points)

    def ringed(self: Canvas, x: float, y: float, *arguments: Any) -> None:
        found.rings.append((x, y))
        ring(self, x, y, *arguments)

    spies = {"text": text, "text_upwards": text_upwards, "picture": picture, "frame": framed, "ring": ringed}
    for name, method in spies.items():
        monkeypatch.setattr(Canvas, name, method)
    return found


# ----------------------------------------------------------------------------------------------------- canvas


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


# ---------------------------------------------------------------------------------------------------- figures


def test_overlay_says_word_entropy_peak_hypothesis_and_reference(drawn: Drawn):
    draw_overlay(photo_record())
    text = drawn.text()
    assert "a red dog" in text
    assert "reference: a dog (+1)" in text
    assert "entropy 1.00 · peak 0.042" in text  # a uniform map of 24 cells
    assert "peak 0.77" in text


def test_overlay_says_the_gate_of_each_word_where_there_is_one(drawn: Drawn):
    record = photo_record()
    draw_overlay(record)
    assert "beta" not in drawn.text()
    draw_overlay(replace(record, gate=[0.1, 0.25, 1.0], gate_name="beta"))
    text = drawn.text()
    assert "peak 0.042 · beta 0.25" in text
    assert "beta: share of the context that was let through" in text


def test_overlay_has_the_photo_a_panel_for_each_word_and_one_scale(drawn: Drawn):
    picture = draw_overlay(photo_record())
    assert len(drawn.pictures) == 5
    assert picture.size == (round(DPI * (0.6 + 4 * PANEL_INCHES)), round(DPI * (1.75 + PANEL_INCHES * 2 / 3)))
    for _, (left, top, right, bottom) in drawn.pictures:
        assert 0 <= left < right <= picture.width / DPI
        assert 0 <= top < bottom <= picture.height / DPI


@pytest.mark.parametrize("smooth", [True, False])
def test_overlay_heats_the_right_cell_and_stays_below_the_limit(drawn: Drawn, smooth: bool):
    record = photo_record()
    draw_overlay(record, smooth=smooth)
    picture, (left, top, _, _) = drawn.pictures[3]
    rows, columns = picture.shape[:2]
    yellow = picture[..., 0] - picture[..., 2]  # the top of the scale is yellow
    row, column = np.unravel_index(yellow.argmax(), yellow.shape)
    assert (row * 4 // rows, column * 6 // columns) == (1, 2)
    x, y = drawn.rings[-1]
    assert x == pytest.approx(left + 2.5 / 6 * PANEL_INCHES)
    assert y == pytest.approx(top + 1.5 / 4 * PANEL_INCHES * 2 / 3)


def test_a_uniform_map_looks_flat_beside_a_sharp_one(drawn: Drawn):
    record = photo_record()
    record.source = np.full_like(record.source, 128)
    draw_overlay(record)
    picture = drawn.pictures[1][0]
    assert np.ptp(picture.reshape(-1, 3), axis=0).max() < 0.01
    assert picture.max() < 0.5  # far from the top of the scale, which the third word sets


def test_the_limit_of_the_scale_can_be_shared(drawn: Drawn):
    record, other = photo_record(words="a"), photo_record()
    assert heat_limit([record]) == pytest.approx(0.77)
    record.weights[:] = 1 / 24
    record = replace(record)  # the cached maps belong to the old weights
    assert heat_limit([record, other]) == pytest.approx(0.77)
    draw(record)
    draw(record, 0.77)
    alone, shared = drawn.pictures[1][0], drawn.pictures[4][0]
    assert alone.mean() > shared.mean() + 0.1


def test_true_boxes_lie_where_they_should(drawn: Drawn):
    draw_overlay(photo_record())
    _, (left, top, right, bottom) = drawn.pictures[3]
    (box,) = drawn.truth
    assert box[0] == pytest.approx(left + 0.3 * (right - left))
    assert box[3] - box[1] == pytest.approx(0.4 * (bottom - top))


def test_long_captions_and_odd_texts_are_drawn(drawn: Drawn):
    record = photo_record(words=" ".join(f"w{i}$^{{" for i in range(60)))
    record.references = ["$\\frac{ never closed"]
    draw_overlay(record)
    assert len(drawn.pictures) == MAX_WORDS + 2
    assert f"{60 - MAX_WORDS} more words not shown" in drawn.text()
    assert record.references[0] in drawn.text()


def test_empty_hypotheses_are_drawn(drawn: Drawn):
    draw(photo_record(words=""))
    assert "(empty hypothesis)" in drawn.texts
    drawn.clear()
    record = speech_record()
    record.tokens, record.word_tokens, record.text, record.times = [], [], "", {}
    record.weights = record.weights[:0]
    draw(record)
    assert {"(empty hypothesis)", "no token, no weights"} <= set(drawn.texts)


def test_timeline_shares_one_axis_in_seconds(drawn: Drawn):
    draw_timeline(speech_record(seconds=1.0))
    (_, mel), (_, matrix) = drawn.pictures[:2]
    second = matrix[2] - matrix[0]
    assert (mel[0], mel[2]) == pytest.approx((matrix[0] - 0.005 * second, matrix[0] + 1.005 * second))
    assert mel[3] < matrix[1]
    assert drawn.places["0"][0] == pytest.approx(matrix[0])
    assert drawn.places["0.4"][0] == pytest.approx(matrix[0] + 0.4 * second)
    assert drawn.places["1"][0] == pytest.approx(matrix[2])


@pytest.mark.parametrize(("seconds", "last"), [(0.25, "0.25"), (0.96, "0.9"), (4.0, "4"), (35.0, "35")])
def test_times_are_round_and_at_most_ten(drawn: Drawn, seconds: float, last: str):
    draw_timeline(speech_record(seconds=seconds))
    start = drawn.texts.index("time in seconds")
    times = [text for text in drawn.texts[:start] if text.replace(".", "").isdigit()]
    times = times[times.index("0") :]
    assert times[-1] == last
    assert 3 <= len(times) <= 11


def test_timeline_says_tokens_words_and_truth(drawn: Drawn):
    draw_timeline(speech_record())
    text = drawn.text()
    assert "g\no\n␣\nu\np" in text
    assert "entropy" in text
    assert "hit_max_length" in text
    first, second = drawn.truth
    left, top, right, bottom = drawn.pictures[1][1]
    row, width = (bottom - top) / 5, right - left
    assert first == pytest.approx((left, top, left + 0.4 * width, top + 2 * row))
    assert second == pytest.approx((left + 0.4 * width, top + 3 * row, right, bottom))
    assert drawn.places["␣"][1] == pytest.approx(top + 2.5 * row)


def test_timeline_of_many_tokens_labels_words(drawn: Drawn):
    record = speech_record()
    record.weights = np.repeat(record.weights, 60, axis=0)
    record.tokens = ["x"] * 300
    record.word_tokens = [(f"word{i}", 10 * i, 10 * i + 10) for i in range(30)]
    picture = draw_timeline(record)
    assert picture.width == round(DPI * WIDTH_INCHES)
    assert picture.height < 16 * DPI
    assert "word29" in drawn.texts
    assert "x" not in drawn.texts


def test_matrix_has_a_column_for_each_source_token_and_a_row_for_each_that_was_written(drawn: Drawn):
    draw(text_record())
    pixels, (left, top, right, bottom) = drawn.pictures[0]
    assert pixels.shape == (3, 4, 3)
    np.testing.assert_array_equal(pixels, heat_colors(text_record().weights[:, 0], 0.9))
    assert drawn.places["sleeps"] == pytest.approx((left - 0.05, top + (bottom - top) / 6))
    columns = [drawn.places[word] for word in ("ein", "roter", "Hund", "schläft")]
    assert [x for x, _ in columns] == pytest.approx([left + (right - left) * (c + 0.5) / 4 for c in range(4)])
    assert all(y < top for _, y in columns)
    row, column = (bottom - top) / 3, (right - left) / 4
    assert drawn.truth == [
        pytest.approx((left + 3 * column, top, right, top + row)),
        pytest.approx((left, top + 2 * row, left + column, bottom)),
        pytest.approx((left + column, top + 2 * row, left + 2 * column, bottom)),
    ]
    assert "sleeps   entropy 0.31 · peak 0.90" in drawn.texts
    assert "reference: a red dog sleeps" in drawn.text()


def test_matrix_of_a_long_text_stays_on_the_sheet(drawn: Drawn):
    record = text_record()
    record.source = np.array(["word"] * 300)
    record.weights = np.full((3, 1, 300), 1 / 300, dtype=np.float32)
    assert draw(record).width < 17 * DPI
    assert "word" not in drawn.texts  # too narrow to read


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
        draw_overlay(record)
    with pytest.raises(ValueError, match="TokenAxis layout, not Timeline"):
        draw_matrix(speech_record())
    with pytest.raises(ValueError, match="Timeline"):
        draw_timeline(photo_record())
    with pytest.raises(ValueError, match="Grid"):
        draw_overlay(speech_record())


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
