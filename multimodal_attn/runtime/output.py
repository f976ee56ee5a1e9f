"""What an exported model wrote for one source, with the attention of every word."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from multimodal_attn.prediction.confidence import confidences, word_log_probs
from multimodal_attn.prediction.times.boundaries import attention_times
from multimodal_attn.prediction.word import Word
from multimodal_attn.runtime.beam import Text
from multimodal_attn.runtime.description import Description
from multimodal_attn.types import Grid, Layout, Span, Timeline, text_flags


@dataclass(repr=False)
class Output:
    """A text and where the model looked: what ``Prediction`` has of it, without the truth and without torch.

    Attributes:
        key: the path of a file, or the kind of what was given.
        source: picture (H, W, 3) uint8, waveform (L,) float32, or the tokens of a source text as they are shown.
        description: of the model.
        found: what the search returned.
        pause_seconds: at the beginning of a recording, that were not read.
        others: what else it found for the same source, best first.
    """

    key: str
    source: np.ndarray
    description: Description
    found: Text
    pause_seconds: float = 0.0
    others: list[Output] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Output({self.text!r}, key={self.key!r}, score={self.score:.4g}, others={len(self.others)})"

    @property
    def layout(self) -> Layout:
        """Where the positions of its maps lie in the source."""
        layout = self.description.layout
        return layout.shifted(self.pause_seconds) if isinstance(layout, Timeline) else layout

    @property
    def text(self) -> str:
        """What was written."""
        return self.description.vocabulary.text(self.found.tokens)

    @property
    def score(self) -> float:
        """What the search maximized."""
        return self.found.score

    @property
    def flags(self) -> list[str]:
        """Names of what looks wrong: ``empty``, ``looped``, ``hit_max_length``."""
        return text_flags(self.found.tokens, self.found.cut)

    @property
    def tokens(self) -> list[str]:
        """What to display for each token."""
        return [self.description.vocabulary.pieces[token] for token in self.found.tokens]

    @property
    def weights(self) -> np.ndarray:
        """(T, N, S) of each token."""
        return self.found.weights

    @cached_property
    def words(self) -> list[Word]:
        """The words with their maps and, for recordings, their times."""
        layout, spans = self.description.layout, self.description.vocabulary.word_spans(self.found.tokens)
        weights = self.weights.mean(axis=1)
        times: list[Span] = []
        if isinstance(layout, Timeline):
            rate, pause = self.description.sample_rate, self.pause_seconds
            read = self.source[round(pause * rate) :]
            times = [span.shifted(pause) for span in attention_times(weights, layout, spans, read, rate)]
        log_probs = np.array(word_log_probs(self.found.log_probs.tolist(), spans))
        sure: list[float | None] = [None] * len(spans)
        if self.description.temperature is not None:
            sure = confidences(log_probs, self.description.temperature).tolist()
        words = []
        for number, (text, (first, stop)) in enumerate(zip(self.text.split(), spans, strict=True)):
            attended = weights[first:stop].mean(axis=0)
            start, end = times[number] if times else (None, None)
            words.append(
                Word(
                    text,
                    attended.reshape(layout.rows, layout.columns) if isinstance(layout, Grid) else attended,
                    start,
                    end,
                    float(np.exp(log_probs[number])),
                    None if self.found.gate is None else float(self.found.gate[first:stop].mean()),
                    sure[number],
                )
            )
        return words
