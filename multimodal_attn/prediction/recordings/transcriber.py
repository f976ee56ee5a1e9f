"""Transcripts of recordings of any length, with the time of every word."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise, takewhile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.data.reading.audio import read_audio
from multimodal_attn.data.reading.segmentation import is_silent, levels, segments
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.prediction.confidence import confidences, word_log_probs
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.transcript import TimedWord, Transcript
from multimodal_attn.prediction.recordings.unread import frame, lead, unread_since
from multimodal_attn.prediction.times.word_times import check_time_source
from multimodal_attn.types import Example, Hypothesis, Memory, Span

Decode = Callable[[list[Tensor]], list[list[TimedWord]]]
"""Waveforms to words, with times from the start of each waveform."""
_SAME_SECONDS = 0.35  # between the middles of a word that two parts have heard


class Transcriber:
    """Splits recordings, with overlap where there is no pause, decodes the parts in batches and joins them.

    A recording is read by the block, so that memory does not grow with its length.

    Args:
        decode: of a batch of waveforms; see ``decoder_of``.
        sample_rate: that ``decode`` expects, in Hz.
        max_seconds: of a part; what the run was trained on is best.
        overlap_seconds: that two parts share, unless they meet in a pause.
        batch_size: parts that are decoded together.

    Raises:
        ValueError: if the overlap does not leave room for progress.
    """

    def __init__(
        self,
        decode: Decode,
        sample_rate: int,
        max_seconds: float = 20.0,
        overlap_seconds: float = 1.0,
        batch_size: int = 8,
    ) -> None:
        if not 0 <= overlap_seconds <= max_seconds / 3:
            raise ValueError(
                f"overlap: {overlap_seconds:g} s of {max_seconds:g} s; expected 0 to a third of the longest part"
            )
        if batch_size < 1:
            raise ValueError(f"batch size: {batch_size}; expected at least 1")
        self.decode, self.sample_rate, self.batch_size = decode, sample_rate, batch_size
        self.max_seconds, self.overlap_seconds = max_seconds, overlap_seconds

    def __call__(self, path: str | Path) -> Transcript:
        """The words of a recording, with times from its start.

        Raises:
            UnreadableError: if it cannot be decoded.
        """
        level = levels(path)
        parts = segments(level, self.max_seconds, self.overlap_seconds)
        words = self._read(path, level, parts)
        joined = words[0]
        for (before, span), more in zip(pairwise(parts), words[1:], strict=True):
            cut = (before.end + span.start) / 2
            joined = join(joined, more, cut, self.overlap_seconds) if before.end > span.start else joined + more
        return Transcript(joined, parts[-1].end)

    def _read(self, path: str | Path, level: np.ndarray, parts: list[Span]) -> list[list[TimedWord]]:
        """The words of each part; what is loud after the last word that was written of it is read anew, by itself."""
        found: list[list[TimedWord]] = [[] for _ in parts]
        left = [(place, _without_lead(level, span)) for place, span in enumerate(parts) if not is_silent(level, span)]
        while left:
            now, left = left[: self.batch_size], left[self.batch_size :]
            waveforms = [read_audio(path, self.sample_rate, span.start, span.end - span.start) for _, span in now]
            for (place, span), words in zip(now, self.decode(waveforms), strict=True):
                found[place] += [w._replace(start=w.start + span.start, end=w.end + span.start) for w in words]
                since = unread_since(words, level[frame(span.start) : frame(span.end)])
                if since is not None:
                    left.append((place, _without_lead(level, Span(span.start + since, span.end))))
        return found


def _without_lead(level: np.ndarray, span: Span) -> Span:
    return Span(span.start + lead(level[frame(span.start) : frame(span.end)]), span.end)


def join(left: list[TimedWord], right: list[TimedWord], cut: float, overlap_seconds: float) -> list[TimedWord]:
    """Words of two parts that overlap around ``cut``, those in the overlap once.

    Where both parts agree on a stretch of words there, in texts and times, the left one's lead up to its end and the
    right one's go on. Where they agree on none, each has the words whose middle lies on its side of the cut.
    """
    # Times from attention are not exact: what lies within a whole overlap of the cut may have been heard twice.
    tail = next((i for i, word in enumerate(left) if word.end > cut - overlap_seconds), len(left))
    head = next((i for i, word in enumerate(right) if word.start > cut + overlap_seconds), len(right))
    best, ends = 0.0, (0, 0)
    for i in range(tail, len(left)):
        for j in range(head):
            near = [*takewhile(bool, map(_nearness, left[i:], right[j:head]))]
            if sum(near) > best:  # the most words, and those at the same time
                best, ends = sum(near), (i + len(near), j + len(near))
    if best:
        return left[: ends[0]] + right[ends[1] :]
    return [word for word in left if word.start + word.end < 2 * cut] + [
        word for word in right if word.start + word.end >= 2 * cut
    ]


def _nearness(one: TimedWord, other: TimedWord) -> float:
    """How surely two parts have heard the same word, 0 if not: equal words at other times are other words."""
    apart = abs(one.start + one.end - other.start - other.end) / 2
    return max(0.0, _SAME_SECONDS - apart) if one.text == other.text else 0.0


def decoder_of(predictor: Predictor, time_source: str = "attention") -> Decode:
    """Decodes with a predictor.

    Args:
        predictor: that was trained on recordings.
        time_source: where the times of words come from, "attention" or "ctc". Where CTC has no path for a text, a
            warning says so and they come from attention.

    Raises:
        ValueError: if it was not trained on recordings, or not with CTC where that is asked for.
    """
    check_recordings(predictor, time_source)

    @torch.no_grad()
    def decode(waveforms: list[Tensor]) -> list[list[TimedWord]]:
        with evaluating(predictor.model):
            batch = predictor.collate([Example(str(number), waveform) for number, waveform in enumerate(waveforms)])
            memory = predictor.model.encode(batch)
            found = predictor.decode(memory, batch.keys)
            return [
                timed_words(predictor, memory, index, best[0], time_source, waveform)
                for index, (best, waveform) in enumerate(zip(found, waveforms, strict=True))
            ]

    return decode


def check_recordings(predictor: Predictor, time_source: str) -> None:
    """Refuses a predictor that was not trained on recordings, or not with CTC where that is asked for; a ValueError."""
    if (reads := predictor.reader.modality) != "recording":
        raise ValueError(
            f"run: '{predictor.name}' was trained on {reads}s; expected one that was trained on recordings"
        )
    check_time_source(time_source, predictor.model, predictor.name)


def timed_words(
    predictor: Predictor, memory: Memory, index: int, hypothesis: Hypothesis, time_source: str, waveform: Tensor
) -> list[TimedWord]:
    """The words of a hypothesis, with their times and how sure they are.

    Args:
        predictor: that wrote it.
        memory: that it was decoded from, and
        index: its place in it.
        hypothesis: what was written.
        time_source: "attention" or "ctc"; see ``decoder_of``.
        waveform: of the recording, (L,).
    """
    text = predictor.tokenizer.decode(hypothesis.tokens)
    times = predictor.word_times(memory, index, hypothesis, time_source, waveform)
    if times.source != time_source:
        warnings.warn(f"times by attention, CTC has no path for: {text}", stacklevel=2)
    spans = predictor.tokenizer.word_spans(hypothesis.tokens)
    sure: list[float | None] = [None] * len(spans)
    if predictor.temperature is not None:
        log_probs = word_log_probs(hypothesis.log_probs.tolist(), spans)
        sure = confidences(np.array(log_probs), predictor.temperature).tolist()
    words = zip(text.split(), times.spans, sure, strict=True)
    return [TimedWord(word, *span, confidence) for word, span, confidence in words]
