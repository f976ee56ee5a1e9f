"""A recording's log-mel spectrogram over the tokens-by-time matrix of attention, on one time axis."""

from __future__ import annotations

from functools import lru_cache
from textwrap import shorten

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from multimodal_attn.inspection.colors import TRUTH, heat_colors, heat_limit
from multimodal_attn.inspection.record import AttentionRecord
from multimodal_attn.types import Span, Timeline

DPI = 110
WIDTH_INCHES = 11.0
MEL_BINS = 80
HOP_SECONDS = 0.01
_RANGE_DB = 70.0  # what lies further below the loudest bin is drawn as silence


def draw_timeline(record: AttentionRecord, limit: float | None = None) -> Figure:
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
    row_inches = min(0.2, 9.0 / max(tokens, 1))
    header, mel_height, gap, footer = 0.95, 1.5, 0.08, 0.95
    matrix_height = max(row_inches * tokens, 0.9)
    height = header + mel_height + gap + matrix_height + footer
    left, right = 0.95, 2.35
    plot_width = WIDTH_INCHES - left - right

    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    _headline(figure, record, height)

    def axes_at(bottom: float, axes_height: float, shared: Axes | None = None) -> Axes:
        rectangle = (left / WIDTH_INCHES, bottom / height, plot_width / WIDTH_INCHES, axes_height / height)
        return figure.add_axes(rectangle, sharex=shared)

    seconds = len(record.source) / record.sample_rate
    covered = (record.layout.span(0).start, record.layout.span(positions - 1).end) if positions else (0.0, seconds)
    mel_axes = axes_at(footer + matrix_height + gap, mel_height)
    _draw_mel(mel_axes, record)
    matrix_axes = axes_at(footer, matrix_height, mel_axes)
    weights = record.weights.mean(axis=1)
    if weights.size:
        matrix_axes.imshow(
            heat_colors(weights, limit),
            aspect="auto",
            interpolation="nearest",
            extent=(*covered, tokens - 0.5, -0.5),
        )
    else:
        matrix_axes.text(0.5, 0.5, "no token, no weights", transform=matrix_axes.transAxes, ha="center", va="center")
        matrix_axes.set_yticks([])
    matrix_axes.set_ylim(max(tokens, 1) - 0.5, -0.5)
    matrix_axes.set_xlim(min(0.0, covered[0]), max(seconds, covered[1]))
    matrix_axes.set_xlabel("time in seconds", fontsize=9)
    mel_axes.tick_params(labelbottom=False)
    _label_tokens(matrix_axes, record, row_inches)
    _label_words(matrix_axes, record, row_inches)
    for index, span in record.times.items():
        if index < len(record.words):
            _draw_truth(mel_axes, matrix_axes, span, record.words[index])
    _draw_scale(figure, (left, 0.22, 2.2, 0.12), limit, 1 / max(positions, 1))
    figure.text(
        (left + 2.45) / WIDTH_INCHES,
        0.28 / height,
        "attention weight of a time step, one scale for all tokens (white line: a uniform map) · "
        f"steps of {1000 * record.layout.step_seconds:.0f} ms\nentropy: 1 = uniform, 0 = a single step · "
        f"peak: largest weight{' · frames: true word times' if record.times else ''}",
        fontsize=7.5,
        color="#555555",
        va="center",
        linespacing=1.4,
    )
    return figure


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


def _draw_mel(axes: Axes, record: AttentionRecord) -> None:
    mel = log_mel(record.source, record.sample_rate)
    last = mel.shape[1] * HOP_SECONDS - HOP_SECONDS / 2
    axes.imshow(mel, aspect="auto", origin="lower", cmap="Greys", extent=(-HOP_SECONDS / 2, last, 0, MEL_BINS))
    nyquist = record.sample_rate / 2
    kilohertz = [f for f in (0.5, 1, 2, 4, 8) if 1000 * f <= nyquist]
    axes.set_yticks(
        [MEL_BINS * _mel(1000 * f) / _mel(nyquist) for f in kilohertz], [f"{f:g}" for f in kilohertz], fontsize=7.5
    )
    axes.set_ylabel("kHz", fontsize=8)


def _mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)


def _label_tokens(axes: Axes, record: AttentionRecord, row_inches: float) -> None:
    """Each token at its row, or, where rows are too narrow to read, each word."""
    points = min(9.0, row_inches * 72 * 0.85)
    if points >= 5:
        axes.set_yticks(range(len(record.tokens)), record.tokens, fontsize=points)
    else:
        middles = [(first + last - 1) / 2 for _, first, last in record.words]
        axes.set_yticks(middles, [shorten(w, 16, placeholder="…") for w, _, _ in record.words], fontsize=7)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", length=0)


def _label_words(axes: Axes, record: AttentionRecord, row_inches: float) -> None:
    """Word, entropy and peak in the right margin, with a bracket over the word's rows."""
    free_from = -np.inf  # labels need a tenth of an inch each, more than a one-token word may have
    for index, (word, first, last) in enumerate(record.words):
        axes.plot(
            [1.008, 1.008],
            [first - 0.35, last - 0.65],
            color="#888888",
            linewidth=1.5,
            transform=axes.get_yaxis_transform(),
            clip_on=False,
        )
        middle = max((first + last - 1) / 2, free_from)
        free_from = middle + 0.13 / max(row_inches, 1e-6)
        axes.text(
            1.02,
            middle,
            f"{shorten(word, 16, placeholder='…')}   entropy {record.entropy[index]:.2f} · "
            f"peak {record.peak[index]:.2f}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            parse_math=False,
        )
        if first > 0:
            axes.axhline(first - 0.5, color="white", linewidth=0.5, alpha=0.35)


def _draw_truth(mel_axes: Axes, matrix_axes: Axes, span: Span, word: tuple[str, int, int]) -> None:
    text, first, last = word
    for second in span:
        mel_axes.axvline(second, color=TRUTH, linewidth=1.2)
    mel_axes.annotate(
        shorten(text, 14, placeholder="…"),
        ((span.start + span.end) / 2, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color="#067a90",
        parse_math=False,
    )
    matrix_axes.add_patch(
        Rectangle(
            (span.start, first - 0.5), span.end - span.start, last - first, fill=False, edgecolor=TRUTH, linewidth=1.4
        )
    )


def _headline(figure: Figure, record: AttentionRecord, height: float) -> None:
    text = shorten(record.text, 90, placeholder=" …") or "(empty hypothesis)"
    reference = record.references[0] if record.references else "(none)"
    flags = f" · {', '.join(record.flags)}" if record.flags else ""
    left = 0.15 / WIDTH_INCHES
    figure.text(left, 1 - 0.12 / height, text, va="top", fontsize=13, fontweight="bold", parse_math=False)
    figure.text(
        left,
        1 - 0.42 / height,
        f"{shorten(f'reference: {reference}', 100, placeholder=' …')} · score {record.score:.3g}{flags} · {record.key}",
        va="top",
        fontsize=9,
        color="#555555",
        parse_math=False,
    )


def _draw_scale(figure: Figure, box: tuple[float, float, float, float], limit: float, uniform: float) -> None:
    width, height = figure.get_size_inches()
    left, bottom, bar_width, bar_height = box
    axes = figure.add_axes((left / width, bottom / height, bar_width / width, bar_height / height), yticks=[])
    ramp = np.linspace(0, limit, 256, dtype=np.float32)[None]
    axes.imshow(heat_colors(ramp, limit), aspect="auto", extent=(0, limit, 0, 1))
    axes.axvline(min(uniform, limit), color="white", linewidth=1)
    axes.set_xticks([0, limit / 2, limit], ["0", f"{limit / 2:.2g}", f"{limit:.2g}"], fontsize=7.5)
    axes.tick_params(length=2, pad=2)
