"""Miniature records with known attention, for the tests of figures and page."""

from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.attention.heads import measure_head
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.self_attention import Reads, SelfAttention, cells_of
from multimodal_attn.prediction.times.word_moments import WordMoments
from multimodal_attn.types import Box, Grid, Span, Timeline, TokenAxis


def photo_record(key: str = "photo.jpg", words: str = "a red dog", heads: int = 1) -> Prediction:
    """A 4 x 6 grid whose sharpest word, the last, puts 0.77 into the cell of row 1, column 2."""
    generator = np.random.default_rng(0)
    names = words.split()
    weights = np.full((len(names), heads, 24), 1 / 24, dtype=np.float32)
    if names:
        weights[-1] = 0.01
        weights[-1, :, 1 * 6 + 2] = 0.77
    return Prediction(
        key=key,
        source=generator.integers(0, 255, (40, 60, 3), dtype=np.uint8),
        layout=Grid(4, 6),
        tokens=names,
        word_tokens=[(name, index, index + 1) for index, name in enumerate(names)],
        weights=weights,
        text=words,
        references=["a dog", "the red dog"],
        score=-0.5,
        flags=[],
        boxes={len(names) - 1: (Box(0.3, 0.2, 0.55, 0.6),)} if names else {},
    )


def speech_record(key: str = "clip", seconds: float = 1.0, sample_rate: int = 16_000) -> Prediction:
    """Two words of two characters and the space between them, each on its own 0.2 s of the recording."""
    generator = np.random.default_rng(0)
    steps = max(round(seconds / 0.04), 5)
    weights = np.full((5, 1, steps), 0.1 / steps, dtype=np.float32)
    for token in range(5):
        weights[token, 0, token * steps // 5] += 0.9
    return Prediction(
        key=key,
        source=(0.1 * generator.standard_normal(round(seconds * sample_rate))).astype(np.float32),
        layout=Timeline(0.04),
        tokens=["g", "o", "␣", "u", "p"],
        word_tokens=[("go", 0, 2), ("up", 3, 5)],
        weights=weights,
        text="go up",
        references=["go up"],
        score=-0.1,
        flags=["hit_max_length"],
        times={0: Span(0.0, 0.4), 1: Span(0.4, 1.0)},
        sample_rate=sample_rate,
        word_spans=(Span(0.0, 0.4), Span(0.52 * seconds, 0.84 * seconds)),
    )


def live_record(seconds: float = 3.0) -> Prediction:
    """Three words of a live session. The second was taken for another at first, then for none."""
    record = speech_record("session", seconds)
    record.tokens, record.text, record.references = ["go", "right", "now"], "go right now", []
    record.word_tokens = [(word, place, place + 1) for place, word in enumerate(record.tokens)]
    record.weights, record.times, record.flags = record.weights[::2], {}, []
    record.word_spans = (Span(0.2, 0.6), Span(0.8, 1.2), Span(1.8, 2.2))
    record.moments = [
        WordMoments(((0.5, "go"),), 0.8),
        WordMoments(((1.0, "light"), (1.1, None), (1.3, "right")), 1.5),
        WordMoments(((2.0, "now"),), 2.5),
    ]
    return record


def text_record(key: str = "sentence") -> Prediction:
    """Three target words of one token each that read the source's words in reverse order, all but a tenth."""
    weights = np.full((3, 1, 4), 0.1 / 3, dtype=np.float32)
    for token in range(3):
        weights[token, 0, 3 - token] = 0.9
    return Prediction(
        key=key,
        source=np.array(["ein", "roter", "Hund", "schläft"]),
        layout=TokenAxis(),
        tokens=["sleeps", "dog", "red"],
        word_tokens=[("sleeps", 0, 1), ("dog", 1, 2), ("red", 2, 3)],
        weights=weights,
        text="sleeps dog red",
        references=["a red dog sleeps"],
        score=-0.3,
        flags=[],
        links={0: ((3, 4),), 2: ((0, 1), (1, 2))},
    )


def with_layers(
    record: Prediction, layers: int = 2, heads: int = 2, extra: int = 0, cells: int = 64, decoder: bool = True
) -> Prediction:
    """The same record with layers of self-attention.

    Head 1 of layer 1 reads the position after its own, the last itself; all others are random. Rollout reads the
    source backwards.
    """
    generator = np.random.default_rng(0)
    size = record.weights.shape[-1]

    def reads(part: str, shape: tuple[int, int], extra: int) -> Reads:
        count = extra + shape[0] * shape[1]
        weights = [generator.dirichlet(np.full(count, 0.3), (heads, count)).astype(np.float32) for _ in range(layers)]
        weights[0][0] = np.eye(count)[np.minimum(np.arange(count) + 1, count - 1)]
        measured = [[measure_head(head, shape, extra, False) for head in layer] for layer in weights]
        return Reads(part, weights, measured, shape, extra).pooled(cells)  # type: ignore[arg-type]

    parts = [reads("encoder", cells_of(record.layout, size), extra)]
    if decoder:
        parts.append(reads("decoder", (1, len(record.tokens)), 0))
    record.self_attention = SelfAttention(parts, record.word_weights[:, ::-1].copy())
    return record
