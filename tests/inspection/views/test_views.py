from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from multimodal_attn.inspection.figures.canvas import DPI, Area, Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, heat_colors
from multimodal_attn.inspection.views import heat_limit, view_of
from multimodal_attn.inspection.views.picture import MAX_WORDS, PANEL_INCHES, PictureView
from multimodal_attn.inspection.views.recording import WIDTH_INCHES
from multimodal_attn.types import Grid, Span
from tests.inspection.records import live_record, photo_record, speech_record, text_record


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


# ---------------------------------------------------------------------------------------------------- figures


def test_overlay_says_word_entropy_peak_hypothesis_and_reference(drawn: Drawn):
    view_of(photo_record()).draw()
    text = drawn.text()
    assert "a red dog" in text
    assert "reference: a dog (+1)" in text
    assert "nearly uniform" in text  # a uniform map of 24 cells
    assert "peak 0.77" in text


def test_overlay_says_the_gate_of_each_word_where_there_is_one(drawn: Drawn):
    record = photo_record()
    view_of(record).draw()
    assert "beta" not in drawn.text()
    view_of(replace(record, gate=[0.1, 0.25, 1.0], gate_name="beta")).draw()
    text = drawn.text()
    assert "nearly uniform · beta 0.25" in text
    assert "beta: share of the context that was let through" in text


def test_overlay_has_the_photo_a_panel_for_each_word_and_one_scale(drawn: Drawn):
    picture = view_of(photo_record()).draw()
    assert len(drawn.pictures) == 5
    assert picture.size == (round(DPI * (0.6 + 4 * PANEL_INCHES)), round(DPI * (1.75 + PANEL_INCHES * 2 / 3)))
    for _, (left, top, right, bottom) in drawn.pictures:
        assert 0 <= left < right <= picture.width / DPI
        assert 0 <= top < bottom <= picture.height / DPI


@pytest.mark.parametrize("smooth", [True, False])
def test_overlay_heats_the_right_cell_and_stays_below_the_limit(drawn: Drawn, smooth: bool):
    record = photo_record()
    PictureView(record, Grid(4, 6)).draw(smooth=smooth)
    picture, (left, top, _, _) = drawn.pictures[3]
    rows, columns = picture.shape[:2]
    yellow = picture[..., 0] - picture[..., 2]  # the top of the scale is yellow
    row, column = np.unravel_index(yellow.argmax(), yellow.shape)
    assert (row * 4 // rows, column * 6 // columns) == (1, 2)
    x, y = drawn.rings[-1]
    assert x == pytest.approx(left + 2.5 / 6 * PANEL_INCHES)
    assert y == pytest.approx(top + 1.5 / 4 * PANEL_INCHES * 2 / 3)


def test_a_uniform_map_leaves_the_photo_without_color_and_is_called_so(drawn: Drawn):
    record = photo_record()
    record.source = np.full_like(record.source, 128)
    view_of(record).draw()
    uniform, sharp = drawn.pictures[1][0], drawn.pictures[3][0]
    assert np.ptp(uniform.reshape(-1, 3), axis=0).max() < 0.01
    assert np.ptp(uniform, axis=2).max() < 0.01  # gray
    assert np.ptp(sharp, axis=2).max() > 0.5
    assert drawn.text().count("nearly uniform") == 2  # of three words


def test_the_limit_of_the_scale_can_be_shared(drawn: Drawn):
    record, other = photo_record(words="a"), photo_record()
    assert heat_limit([record]) == pytest.approx(0.77 - 1 / 24)
    record.source[:], record.weights[0, 0, 8] = 128, 0.1
    record = replace(record)  # the cached maps belong to the old weights
    assert heat_limit([record, other]) == pytest.approx(0.77 - 1 / 24)
    view_of(record).draw()
    view_of(record).draw(0.73)
    alone, shared = (np.ptp(drawn.pictures[number][0], axis=2).max() for number in (1, 4))
    assert alone > shared + 0.3  # the same weight is the top of the one scale, and has little color on the other


def test_single_heads_are_sharper_than_their_mean():
    record = photo_record(heads=2)
    record.weights[-1, 1] = 1 / 24
    assert heat_limit([record]) == pytest.approx((0.77 + 1 / 24) / 2 - 1 / 24)
    assert heat_limit([record], each_head=True) == pytest.approx(0.77 - 1 / 24)
    assert heat_limit([]) == 1


def test_true_boxes_lie_where_they_should(drawn: Drawn):
    view_of(photo_record()).draw()
    _, (left, top, right, bottom) = drawn.pictures[3]
    (box,) = drawn.truth
    assert box[0] == pytest.approx(left + 0.3 * (right - left))
    assert box[3] - box[1] == pytest.approx(0.4 * (bottom - top))


def test_long_captions_and_odd_texts_are_drawn(drawn: Drawn):
    record = photo_record(words=" ".join(f"w{i}$^{{" for i in range(60)))
    record.references = ["$\\frac{ never closed"]
    view_of(record).draw()
    assert len(drawn.pictures) == MAX_WORDS + 2
    assert f"{60 - MAX_WORDS} more words not shown" in drawn.text()
    assert record.references[0] in drawn.text()


def test_empty_hypotheses_are_drawn(drawn: Drawn):
    view_of(photo_record(words="")).draw()
    assert "(empty hypothesis)" in drawn.texts
    drawn.clear()
    record = speech_record()
    record.tokens, record.word_tokens, record.text, record.times = [], [], "", {}
    record.weights = record.weights[:0]
    view_of(record).draw()
    assert {"(empty hypothesis)", "no token, no weights"} <= set(drawn.texts)


def test_timeline_shares_one_axis_in_seconds(drawn: Drawn):
    view_of(speech_record(seconds=1.0)).draw()
    (_, mel), (_, matrix) = drawn.pictures[:2]
    second = matrix[2] - matrix[0]
    assert (mel[0], mel[2]) == pytest.approx((matrix[0] - 0.005 * second, matrix[0] + 1.005 * second))
    assert mel[3] < matrix[1]
    assert drawn.places["0"][0] == pytest.approx(matrix[0])
    assert drawn.places["0.4"][0] == pytest.approx(matrix[0] + 0.4 * second)
    assert drawn.places["1"][0] == pytest.approx(matrix[2])


@pytest.mark.parametrize(("seconds", "last"), [(0.25, "0.25"), (0.96, "0.9"), (4.0, "4"), (35.0, "35")])
def test_times_are_round_and_at_most_ten(drawn: Drawn, seconds: float, last: str):
    view_of(speech_record(seconds=seconds)).draw()
    start = drawn.texts.index("time in seconds")
    times = [text for text in drawn.texts[:start] if text.replace(".", "").isdigit()]
    times = times[times.index("0") :]
    assert times[-1] == last
    assert 3 <= len(times) <= 11


def test_timeline_says_tokens_words_and_truth(drawn: Drawn):
    view_of(speech_record()).draw()
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


def test_true_words_that_were_not_written_are_named(drawn: Drawn):
    record = speech_record()
    view_of(record).draw()
    assert "missed" not in drawn.text()
    drawn.clear()
    record.true_words = [("go", Span(0.0, 0.4)), ("now", Span(0.4, 0.6)), ("up", Span(0.6, 1.0))]
    view_of(record).draw()
    assert {"go", "(now)", "up"} <= set(drawn.texts)
    assert "(words) that were missed" in drawn.text()
    _, (left, _, right, _) = drawn.pictures[1]
    assert drawn.places["(now)"][0] == pytest.approx(left + 0.5 * (right - left))


def test_timeline_of_many_tokens_labels_words(drawn: Drawn):
    record = speech_record()
    record.weights = np.repeat(record.weights, 60, axis=0)
    record.tokens = ["x"] * 300
    record.word_tokens = [(f"word{i}", 10 * i, 10 * i + 10) for i in range(30)]
    picture = view_of(record).draw()
    assert picture.width == round(DPI * WIDTH_INCHES)
    assert picture.height < 16 * DPI
    assert "word29" in drawn.texts
    assert "x" not in drawn.texts


def test_matrix_has_a_column_for_each_source_token_and_a_row_for_each_that_was_written(drawn: Drawn):
    view_of(text_record()).draw()
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
    assert view_of(record).draw().width < 17 * DPI
    assert "word" not in drawn.texts  # too narrow to read


def test_a_live_session_has_its_moments_and_is_as_sharp_as_it_is_wide():
    view = view_of(live_record(seconds=60.0))
    assert view.truth()["moments"][1] == [[[1.0, "light"], [1.1, None], [1.3, "right"]], 1.5]
    assert [len(side) for side in view.source()["wave"]] == [25 * 60] * 2
    whole = view_of(speech_record(seconds=60.0))
    assert whole.truth()["moments"] == []
    assert [len(side) for side in whole.source()["wave"]] == [600] * 2


def test_a_layout_without_a_view_is_refused():
    record = photo_record()
    record.layout = "elsewhere"  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"photo\.jpg: nothing shows a str; expected Grid, Timeline, TokenAxis"):
        view_of(record)
