"""What is kept of a live session, to be looked at afterwards."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from multimodal_attn.data.reading.resampler import resampled
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.recordings.live import Heard, Live, WordAttention
from multimodal_attn.prediction.recordings.transcript import TimedWord
from multimodal_attn.prediction.times.word_moments import WordMoments
from multimodal_attn.types import Span, Timeline

_FORGOTTEN_SECONDS = 1.0  # after which what stood in a place says nothing of a word that comes into it


class _Kept(NamedTuple):
    word: TimedWord
    attention: WordAttention
    moments: WordMoments


class LiveRecord:
    """Hears sound through a live session, and keeps the last minutes of it in memory that does not grow.

    Of the sound its samples are kept, and of each word a row of weights no longer than a part of the session, with the
    moments at which it was written.

    Args:
        live: the session, which has heard nothing yet.
        max_seconds: of sound that are kept, with the words in them.
    """

    def __init__(self, live: Live, max_seconds: float = 300.0) -> None:
        self.live, self.max_seconds = live, max_seconds
        self._rate = live.predictor.reader.sample_rate
        self._sound: deque[np.ndarray] = deque()
        self._samples = self._forgotten = 0  # that are kept, and that came before them
        self._words: deque[_Kept] = deque()
        self._shown: list[list[tuple[float, str | None]]] = []  # in each place after the sure words

    def __call__(self, chunks: Iterable[Any], sample_rate: int | None = None) -> Iterator[Heard]:
        """What is heard in chunks of sound; see ``Live``."""
        for heard in self.live(self._listening(resampled(chunks, sample_rate or self._rate, self._rate))):
            self._add(heard)
            yield heard

    def prediction(self, key: str) -> Prediction:
        """The sure words that are kept, a token each, with their weights over the sound that is kept.

        Positions of the session's parts are moved by up to half a step, so that they lie on one timeline.

        Args:
            key: a name of the session. Where its start is not kept, what is shown is said after it.
        """
        layout = self.live.predictor.model.encoder.layout
        assert isinstance(layout, Timeline), "a live session is a recording"
        begin, kept = self._forgotten / self._rate, list(self._words)
        weights = np.zeros((len(kept), 1, math.ceil(self._samples / self._rate / layout.step_seconds)), np.float32)
        for row, (_, attention, _) in zip(weights[:, 0], kept, strict=True):
            _put(row, attention.weights, round((attention.begin - begin) / layout.step_seconds))
        words = [word.text for word, _, _ in kept]
        return Prediction(
            key=f"{key}, from {begin:.1f} s on" if self._forgotten else key,
            source=np.concatenate([np.zeros(0, np.float32), *self._sound]),
            layout=layout,
            tokens=words,
            word_tokens=[(word, place, place + 1) for place, word in enumerate(words)],
            weights=weights,
            text=" ".join(words),
            references=[],
            score=sum(attention.log_prob for _, attention, _ in kept),
            flags=[],
            sample_rate=self._rate,
            log_probs=[attention.log_prob for _, attention, _ in kept],
            word_spans=tuple(Span(max(0.0, word.start - begin), word.end - begin) for word, _, _ in kept),
            time_source=self.live.settings.word_times,
            temperature=self.live.predictor.temperature,
            moments=[
                WordMoments(tuple((when - begin, text) for when, text in moments.shown), moments.sure - begin)
                for _, _, moments in kept
            ],
        )

    def _listening(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for samples in chunks:
            self._sound.append(samples)
            self._samples += len(samples)
            while self._samples - len(self._sound[0]) >= self.max_seconds * self._rate:
                self._samples -= len(self._sound[0])
                self._forgotten += len(self._sound.popleft())
            while self._words and self._words[0].word.start * self._rate < self._forgotten:
                self._words.popleft()
            yield samples

    def _add(self, heard: Heard) -> None:
        texts: list[str | None] = [word.text for word in (*heard.words, *heard.tentative)]
        self._shown += [[] for _ in texts[len(self._shown) :]]
        for shown, text in zip(self._shown, texts + [None] * (len(self._shown) - len(texts)), strict=True):
            if shown and shown[-1][1] is None and heard.seconds - shown[-1][0] > _FORGOTTEN_SECONDS:
                shown.clear()
            if text != (shown[-1][1] if shown else None):
                shown.append((heard.seconds, text))
        for word, attention in zip(heard.words, heard.attention, strict=True):
            self._words.append(_Kept(word, attention, WordMoments(tuple(self._shown.pop(0)), heard.seconds)))


def _put(row: np.ndarray, weights: np.ndarray, first: int) -> None:
    """Adds weights to a row from the place ``first`` on, as far as it reaches."""
    begin, end = max(0, first), min(len(row), first + len(weights))
    if begin < end:
        row[begin:end] = weights[begin - first : end - first]
