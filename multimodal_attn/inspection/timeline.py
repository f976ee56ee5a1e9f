"""A recording's log-mel spectrogram over the tokens-by-time matrix of attention, on one time axis."""

from __future__ import annotations

import math
from functools import lru_cache
from textwrap import shorten

import numpy as np
import torch
from PIL import Image
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from multimodal_attn.inspection.canvas import Area, Canvas
from multimodal_attn.inspection.colors import TRUTH, heat_colors, heat_limit
from multimodal_attn.inspection.record import AttentionRecord
from multimodal_attn.types import Span, Timeline

WIDTH_INCHES = 11.0
MEL_BINS = 80
HOP_SECONDS = 0.01
_RANGE_DB = 70.0  # what lies further below the loudest bin is drawn as silence
_HEADER, _MEL_HEIGHT, _GAP, _FOOTER, _LEFT, _RIGHT = 0.95, 1.5, 0.08, 0.95, 0.95, 2.35
_GREY = "#555555"


class _Axes:
    """Where seconds and tokens lie on the sheet: log-mel above, the matrix below, both from ``start`` to ``end``."""

    def __init__(self, tokens: int, start: float, end: float) -> None:
        self.row_inches = min(0.2, 9.0 / max(tokens, 1))
        self.rows, self.start, self.end = max(tokens, 1), start, end
        top = _HEADER + _MEL_HEIGHT + _GAP
        bottom = top + max(self.row_inches * tokens, 0.9)
        self.mel: Area = (_LEFT, _HEADER, WIDTH_INCHES - _RIGHT, _HEADER + _MEL_HEIGHT)
        self.matrix: Area = (_LEFT, top, WIDTH_INCHES - _RIGHT, bottom)
        self.height = bottom + _FOOTER

    def x(self, second: float) -> float:
        left, _, right, _ = self.matrix
        return left + (second - self.start) / (self.end - self.start) * (right - left)

    def y(self, row: float) -> float:
        """Of the upper edge of a row; + 0.5 for its middle."""
        _, top, _, bottom = self.matrix
        return top + row / self.rows * (bottom - top)


def draw_timeline(record: AttentionRecord, limit: float | None = None) -> Image.Image:
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
    _headline(canvas, record)
    _draw_mel(canvas, axes, record)
    weights = record.weights.mean(axis=1)
    left, top, right, bottom = axes.matrix
    if weights.size:
        canvas.picture(heat_colors(weights, limit), (axes.x(covered[0]), top, axes.x(covered[1]), bottom))
    else:
        canvas.text((left + right) / 2, (top + bottom) / 2, "no token, no weights", 10, anchor="mm")
    _label_tokens(canvas, axes, record)
    _label_words(canvas, axes, record)
    for index, span in record.times.items():
        if index < len(record.words):
            _draw_truth(canvas, axes, span, record.words[index])
    for area in (axes.mel, axes.matrix):
        canvas.frame(area, "#000000", 0.8)
    _label_seconds(canvas, axes)
    _draw_scale(canvas, (left, axes.height - 0.34, left + 2.2, axes.height - 0.22), limit, 1 / max(positions, 1))
    canvas.text(
        left + 2.45,
        axes.height - 0.28,
        "attention weight of a time step, one scale for all tokens (white line: a uniform map) · "
        f"steps of {1000 * record.layout.step_seconds:.0f} ms\nentropy: 1 = uniform, 0 = a single step · "
        f"peak: largest weight{' · frames: true word times' if record.times else ''}",
        7.5,
        _GREY,
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


def _draw_mel(canvas: Canvas, axes: _Axes, record: AttentionRecord) -> None:
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


def _label_tokens(canvas: Canvas, axes: _Axes, record: AttentionRecord) -> None:
    """Each token at its row, or, where rows are too narrow to read, each word."""
    points = min(9.0, axes.row_inches * 72 * 0.85)
    if points >= 5:
        labels = [(row + 0.5, token) for row, token in enumerate(record.tokens)]
    else:
        points = 7
        labels = [((first + last) / 2, shorten(word, 16, placeholder="…")) for word, first, last in record.words]
    for row, label in labels:
        canvas.text(_LEFT - 0.05, axes.y(row), label, points, anchor="rm")


def _label_words(canvas: Canvas, axes: _Axes, record: AttentionRecord) -> None:
    """Word, entropy and peak in the right margin, with a bracket over the word's rows."""
    left, _, right, _ = axes.matrix
    free_from = -np.inf  # labels need a tenth of an inch each, more than a one-token word may have
    for index, (word, first, last) in enumerate(record.words):
        x = right + 0.06
        canvas.line((x, axes.y(first + 0.15)), (x, axes.y(last - 0.15)), "#888888", 1.5)
        middle = max((first + last) / 2, free_from)
        free_from = middle + 0.13 / axes.row_inches
        canvas.text(
            right + 0.15,
            axes.y(middle),
            f"{shorten(word, 16, placeholder='…')}   entropy {record.entropy[index]:.2f} · "
            f"peak {record.peak[index]:.2f}",
            8,
            anchor="lm",
        )
        if first > 0:
            canvas.line((left, axes.y(first)), (right, axes.y(first)), "#ffffff59", 0.5)


def _draw_truth(canvas: Canvas, axes: _Axes, span: Span, word: tuple[str, int, int]) -> None:
    text, first, last = word
    _, top, _, bottom = axes.mel
    for second in span:
        canvas.line((axes.x(second), top), (axes.x(second), bottom), TRUTH, 1.2)
    middle = (axes.x(span.start) + axes.x(span.end)) / 2
    canvas.text(middle, top - 0.17, shorten(text, 14, placeholder="…"), 8.5, "#067a90", anchor="ma")
    canvas.frame((axes.x(span.start), axes.y(first), axes.x(span.end), axes.y(last)), TRUTH, 1.4)


def _headline(canvas: Canvas, record: AttentionRecord) -> None:
    text = shorten(record.text, 90, placeholder=" …") or "(empty hypothesis)"
    reference = record.references[0] if record.references else "(none)"
    flags = f" · {', '.join(record.flags)}" if record.flags else ""
    canvas.text(0.15, 0.12, text, 13, bold=True)
    line = shorten(f"reference: {reference}", 100, placeholder=" …")
    canvas.text(0.15, 0.42, f"{line} · score {record.score:.3g}{flags} · {record.key}", 9, _GREY)


def _draw_scale(canvas: Canvas, area: Area, limit: float, uniform: float) -> None:
    left, top, right, bottom = area
    canvas.picture(heat_colors(np.linspace(0, limit, 256, dtype=np.float32)[None], limit), area)
    mark = left + min(uniform / limit, 1.0) * (right - left)
    canvas.line((mark, top), (mark, bottom), "#ffffff")
    for share, label in ((0.0, "0"), (0.5, f"{limit / 2:.2g}"), (1.0, f"{limit:.2g}")):
        x = left + share * (right - left)
        canvas.line((x, bottom), (x, bottom + 0.03), "#000000", 0.8)
        canvas.text(x, bottom + 0.05, label, 7.5, anchor="ma")
