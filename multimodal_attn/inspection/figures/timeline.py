"""A recording's log-mel spectrogram over the tokens-by-time matrix of attention, on one time axis."""

from __future__ import annotations

import math
from functools import lru_cache
from textwrap import shorten

import numpy as np
import torch
from PIL import Image
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from multimodal_attn.inspection.figures.canvas import Area, Canvas
from multimodal_attn.inspection.figures.colors import TRUTH, heat_colors, heat_limit
from multimodal_attn.inspection.figures.token_rows import (
    GREY,
    LEFT_MARGIN,
    RIGHT_MARGIN,
    TokenRows,
    draw_scale,
    headline,
    label_tokens,
    label_words,
)
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Span, Timeline

WIDTH_INCHES = 11.0
MEL_BINS = 80
HOP_SECONDS = 0.01
_RANGE_DB = 70.0  # what lies further below the loudest bin is drawn as silence
_HEADER, _MEL_HEIGHT, _GAP = 0.95, 1.5, 0.08


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


def draw_timeline(record: Prediction, limit: float | None = None) -> Image.Image:
    """Log-mel on top, under it a row of weights for each token; true word times drawn through both.

    Args:
        record: of a Timeline layout.
        limit: weight at the top of the colour scale, which all tokens share; the record's largest weight if None.

    Raises:
        ValueError: if the record's layout is no Timeline.
    """
    if not isinstance(record.layout, Timeline):
        raise ValueError(f"{record.key}: a timeline needs a Timeline layout, not {type(record.layout).__name__}")
    limit = limit or heat_limit([record])
    tokens, positions = record.weights.shape[0], record.weights.shape[2]
    seconds = len(record.source) / record.sample_rate
    covered = (record.layout.span(0).start, record.layout.span(positions - 1).end) if positions else (0.0, seconds)
    axes = _Axes(tokens, min(0.0, covered[0]), max(seconds, covered[1]))
    canvas = Canvas(WIDTH_INCHES, axes.height)
    headline(canvas, record)
    _draw_mel(canvas, axes, record)
    weights = record.weights.mean(axis=1)
    left, top, right, bottom = axes.matrix
    if weights.size:
        canvas.picture(heat_colors(weights, limit), (axes.x(covered[0]), top, axes.x(covered[1]), bottom))
    else:
        canvas.text((left + right) / 2, (top + bottom) / 2, "no token, no weights", 10, anchor="mm")
    label_tokens(canvas, axes, record)
    label_words(canvas, axes, record)
    for index, span in record.times.items():
        if index < len(record.word_tokens):
            _draw_truth(canvas, axes, span, record.word_tokens[index])
    for area in (axes.mel, axes.matrix):
        canvas.frame(area, "#000000", 0.8)
    _label_seconds(canvas, axes)
    draw_scale(canvas, (left, axes.height - 0.34, left + 2.2, axes.height - 0.22), limit, 1 / max(positions, 1))
    canvas.text(
        left + 2.45,
        axes.height - 0.28,
        "attention weight of a time step, one scale for all tokens (white line: a uniform map) · "
        f"steps of {1000 * record.layout.step_seconds:.0f} ms\nentropy: 1 = uniform, 0 = a single step · "
        f"peak: largest weight{' · frames: true word times' if record.times else ''}",
        7.5,
        GREY,
        anchor="lm",
    )
    return canvas.image


def log_mel(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Log-mel power in dB, frame i centred on ``i * HOP_SECONDS``, clipped at 70 dB under the loudest bin.

    Shapes:
        waveform: (L,). Returns (MEL_BINS, frames).
    """
    transform = _mel_transform(sample_rate)
    samples = torch.from_numpy(np.nan_to_num(np.asarray(waveform, dtype=np.float32)))
    if len(samples) < transform.n_fft:  # shorter than one window: the centring could not reflect it
        samples = torch.nn.functional.pad(samples, (0, transform.n_fft - len(samples)))
    return AmplitudeToDB(top_db=_RANGE_DB)(transform(samples)).numpy()


@lru_cache(maxsize=4)
def _mel_transform(sample_rate: int) -> MelSpectrogram:
    window = round(0.025 * sample_rate)
    # Padded to four windows: the lowest mel filters are narrower than the bins of the bare window.
    n_fft = 1 << (2 * window - 1).bit_length()
    return MelSpectrogram(
        sample_rate, n_fft=n_fft, win_length=window, hop_length=round(HOP_SECONDS * sample_rate), n_mels=MEL_BINS
    )


def _draw_mel(canvas: Canvas, axes: _Axes, record: Prediction) -> None:
    mel = log_mel(record.source, record.sample_rate)
    grey = (mel.max() - mel[::-1]) / max(float(np.ptp(mel)), 1e-6)  # loud is dark
    left, top, _, bottom = axes.mel
    half, last = HOP_SECONDS / 2, mel.shape[1] * HOP_SECONDS
    pixels = np.repeat(grey[..., None], 3, axis=2)
    canvas.picture(pixels, (axes.x(-half), top, axes.x(last - half), bottom), clip=axes.mel)
    nyquist = record.sample_rate / 2
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


def _draw_truth(canvas: Canvas, axes: _Axes, span: Span, word: tuple[str, int, int]) -> None:
    text, first, last = word
    _, top, _, bottom = axes.mel
    for second in span:
        canvas.line((axes.x(second), top), (axes.x(second), bottom), TRUTH, 1.2)
    middle = (axes.x(span.start) + axes.x(span.end)) / 2
    canvas.text(middle, top - 0.17, shorten(text, 14, placeholder="…"), 8.5, "#067a90", anchor="ma")
    canvas.frame((axes.x(span.start), axes.y(first), axes.x(span.end), axes.y(last)), TRUTH, 1.4)
