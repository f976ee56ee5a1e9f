"""A recording's log-mel spectrogram over the tokens-by-time matrix of attention, on one time axis."""

from __future__ import annotations

import math
from textwrap import shorten
from typing import Any

import numpy as np
from PIL import Image

from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.inspection.figures.canvas import Area, Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, heat_colors
from multimodal_attn.inspection.figures.log_mel import HOP_SECONDS, log_mel
from multimodal_attn.inspection.figures.token_rows import (
    GRAY,
    LEFT_MARGIN,
    RIGHT_MARGIN,
    TokenRows,
    headline,
    label_tokens,
    label_words,
    scale,
)
from multimodal_attn.inspection.page.packing import pack_picture, pack_sound, rounded_number, rounded_numbers
from multimodal_attn.inspection.views.base import Sound, SourceView
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.times.word_alignment import align_words
from multimodal_attn.types import Span, Timeline

WIDTH_INCHES = 11.0
_HEADER, _MEL_HEIGHT, _GAP = 0.95, 1.5, 0.08
WAVE_COLUMNS = 600
MEL_COLUMNS = 900  # at most: the page has no more pixels for it
LIVE_COLUMNS = 25  # a second, of a session that is scrolled through


class _Axes(TokenRows):
    """Log-mel above, the matrix below, both from ``start`` to ``end`` in seconds."""

    def __init__(self, tokens: int, start: float, end: float) -> None:
        left, right = LEFT_MARGIN, WIDTH_INCHES - RIGHT_MARGIN
        super().__init__(tokens, left, _HEADER + _MEL_HEIGHT + _GAP, right)
        self.start, self.end = start, end
        self.mel: Area = (left, _HEADER, right, _HEADER + _MEL_HEIGHT)

    def x(self, second: float) -> float:
        left, _, right, _ = self.matrix
        return left + (second - self.start) / (self.end - self.start) * (right - left)


class RecordingView(SourceView[Timeline]):
    """Log-mel, under it a row of weights for each token; true word times through both."""

    name = "recording"

    def draw(self, limit: float | None = None) -> Image.Image:
        prediction, layout, weights = self.prediction, self.layout, self.shown_weights()
        limit = limit or float(np.nan_to_num(weights).max(initial=0.0)) or 1.0
        tokens, positions = weights.shape
        seconds = len(prediction.source) / prediction.sample_rate
        covered = (layout.span(0).start, layout.span(positions - 1).end) if positions else (0.0, seconds)
        axes = _Axes(tokens, min(0.0, covered[0]), max(seconds, covered[1]))
        canvas = Canvas(WIDTH_INCHES, axes.height)
        headline(canvas, prediction)
        _mel_picture(canvas, axes, prediction)
        left, top, right, bottom = axes.matrix
        if weights.size:
            canvas.picture(heat_colors(weights, limit), (axes.x(covered[0]), top, axes.x(covered[1]), bottom))
        else:
            canvas.text((left + right) / 2, (top + bottom) / 2, "no token, no weights", 10, anchor="mm")
        label_tokens(canvas, axes, prediction)
        label_words(canvas, axes, prediction)
        for index, span in prediction.times.items():
            _true_word(canvas, axes, span, prediction.word_tokens[index])
        missed = self._missed()
        true_times = f"word times by {prediction.timed_by}" if prediction.timed_by else "true word times"
        for word, span, _ in missed:
            _true_name(canvas, axes, span, f"({word})", "#9a3412")
        for area in (axes.mel, axes.matrix):
            canvas.frame(area, "#000000", 0.8)
        _label_seconds(canvas, axes)
        scale(canvas, (left, axes.height - 0.34, left + 2.2, axes.height - 0.22), limit, 1 / max(positions, 1))
        canvas.text(
            left + 2.45,
            axes.height - 0.28,
            "attention weight of a time step, one scale for all tokens (white line: a uniform map) · "
            f"steps of {1000 * layout.step_seconds:.0f} ms\nentropy: 1 = uniform, 0 = a single step · "
            f"peak: largest weight{f' · frames: {true_times}' if prediction.times else ''}"
            f"{' · (words) that were missed' if missed else ''}",
            7.5,
            GRAY,
            anchor="lm",
        )
        return canvas.image

    def source(self) -> dict[str, Any]:
        waveform, rate = self.prediction.source, self.prediction.sample_rate
        mel = log_mel(waveform, rate)
        image = Image.fromarray(np.rint(255 * _gray(mel)).astype(np.uint8))
        live = round(LIVE_COLUMNS * len(waveform) / rate) if self.prediction.moments else 0
        if image.width > (columns := max(MEL_COLUMNS, live)):
            image = image.resize((columns, image.height), Image.Resampling.BOX)
        return {
            "seconds": len(waveform) / rate,
            "step": self.layout.step_seconds,
            "offset": self.layout.offset_seconds,
            "mel": pack_picture(image),
            "melSpan": [-HOP_SECONDS / 2, (mel.shape[1] - 0.5) * HOP_SECONDS],
            "wave": _envelope(waveform, max(WAVE_COLUMNS, live)),
            "audio": pack_sound(waveform, rate),
        }

    def truth(self) -> dict[str, Any]:
        return {
            "times": {index: rounded_numbers(span, 4) for index, span in sorted(self.prediction.times.items())},
            "missed": [[word, *rounded_numbers(span, 4), written] for word, span, written in self._missed()],
            "timedBy": self.prediction.timed_by,
            "heardBy": self.prediction.time_source,
            "heard": [rounded_numbers(span, 4) for span in self.prediction.word_spans],
            "moments": [
                [[[round(when, 3), text] for when, text in shown], round(sure, 3)]
                for shown, sure in self.prediction.moments
            ],
        }

    def measures(self) -> dict[str, float | None]:
        prediction, heard = self.prediction, self.prediction.word_spans
        late = [abs(heard[index].start - span.start) for index, span in prediction.times.items()]
        references = prediction.references
        wer = TranscriptScores()([prediction.text], [references])["wer"] if references else None
        return {
            "wer": rounded_number(wer, 3),
            "late": rounded_number(1000 * np.median(late), 4) if late else None,
        }

    def sound(self) -> Sound:
        return Sound(self.prediction.source, self.prediction.sample_rate)

    def _missed(self) -> list[tuple[str, Span, str | None]]:
        """True words that were not written, when they are spoken, and what was written in their place."""
        written, true = self.prediction.text.split(), self.prediction.true_words
        return [
            (*true[place], None if index is None else written[index])
            for index, place in align_words(written, [word for word, _ in true])
            if place is not None and (index is None or written[index] != true[place][0])
        ]


def _envelope(waveform: np.ndarray, columns: int) -> list[list[int]]:
    """Lowest and highest sample of each of so many columns, in hundredths of the loudest."""
    samples = np.nan_to_num(np.asarray(waveform, dtype=np.float32))
    samples = samples / max(float(np.abs(samples).max(initial=0.0)), 1e-6)
    parts = [part for part in np.array_split(samples, min(columns, max(len(samples), 1))) if part.size]
    return [[round(100 * float(part.min())) for part in parts], [round(100 * float(part.max())) for part in parts]]


def _gray(mel: np.ndarray) -> np.ndarray:
    """Loud is dark, low is below: in [0, 1]."""
    return (mel.max() - mel[::-1]) / max(float(np.ptp(mel)), 1e-6)


def _mel_picture(canvas: Canvas, axes: _Axes, prediction: Prediction) -> None:
    mel = log_mel(prediction.source, prediction.sample_rate)
    left, top, _, bottom = axes.mel
    half, last = HOP_SECONDS / 2, mel.shape[1] * HOP_SECONDS
    pixels = np.repeat(_gray(mel)[..., None], 3, axis=2)
    canvas.picture(pixels, (axes.x(-half), top, axes.x(last - half), bottom), clip=axes.mel)
    nyquist = prediction.sample_rate / 2
    for kilohertz in (0.5, 1, 2, 4, 8):
        if 1000 * kilohertz <= nyquist:
            y = bottom - (bottom - top) * _mel(1000 * kilohertz) / _mel(nyquist)
            canvas.line((left - 0.04, y), (left, y), "#000000", 0.8)
            canvas.text(left - 0.07, y, f"{kilohertz:g}", 7.5, anchor="rm")
    canvas.text(left - 0.4, (top + bottom) / 2, "kHz", 8, anchor="rm")


def _mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)


def _label_seconds(canvas: Canvas, axes: _Axes) -> None:
    """At most ten round times below the matrix."""
    left, _, right, bottom = axes.matrix
    step = 10.0 ** math.floor(math.log10(axes.end - axes.start))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2) if (axes.end - axes.start) / (step * part) <= 10)
    for number in range(math.ceil(axes.start / step), math.floor(axes.end / step + 1e-6) + 1):
        x = axes.x(number * step)
        canvas.line((x, bottom), (x, bottom + 0.04), "#000000", 0.8)
        canvas.text(x, bottom + 0.06, f"{number * step:g}", 9, anchor="ma")
    canvas.text((left + right) / 2, bottom + 0.24, "time in seconds", 9, anchor="ma")


def _true_word(canvas: Canvas, axes: _Axes, span: Span, word: tuple[str, int, int]) -> None:
    text, first, last = word
    _, top, _, bottom = axes.mel
    for second in span:
        canvas.line((axes.x(second), top), (axes.x(second), bottom), TRUTH, 1.2)
    _true_name(canvas, axes, span, text, "#067a90")
    canvas.frame((axes.x(span.start), axes.y(first), axes.x(span.end), axes.y(last)), TRUTH, 1.4)


def _true_name(canvas: Canvas, axes: _Axes, span: Span, text: str, color: str) -> None:
    middle = (axes.x(span.start) + axes.x(span.end)) / 2
    canvas.text(middle, axes.mel[1] - 0.17, shorten(text, 14, placeholder="…"), 8.5, color, anchor="ma")
