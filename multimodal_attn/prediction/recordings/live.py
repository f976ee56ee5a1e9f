"""Recognition while someone is still speaking: words as soon as they are sure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Gt

from multimodal_attn.data.reading.resampler import resampled
from multimodal_attn.data.reading.segmentation import waveform_levels
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.prediction.confidence import word_log_probs
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.growing_memory import GrowingMemory
from multimodal_attn.prediction.recordings.transcriber import check_recordings, timed_words
from multimodal_attn.prediction.recordings.transcript import TimedWord
from multimodal_attn.prediction.recordings.unread import frame, is_spoken, is_unread, lead, loudness, until_quiet
from multimodal_attn.ranges import Count, NotNegative, Positive, Share

_REMEMBERED = 20  # words by which it is judged whether something is said
_SHORTEST, _LONGEST = 2.0, 12.0  # seconds of a part, where nothing else is asked for
_AT_ONCE = 0.5  # seconds between two looks at most, where sound comes faster than it can be read


class WordAttention(NamedTuple):
    """Where the model looked for a word that is sure.

    Attributes:
        weights: of the memory positions of the part that the word stands in, the mean over its tokens and over heads.
        begin: of this part, in seconds from the start of the session.
        log_prob: that the model gave the word.

    Shapes:
        weights: (S,).
    """

    weights: np.ndarray
    begin: float
    log_prob: float


class Heard(NamedTuple):
    """What some more sound has brought.

    Attributes:
        words: that are sure now and never change.
        tentative: those after them, as they are for now.
        seconds: of sound heard so far.
        attention: of each of ``words``.
    """

    words: list[TimedWord]
    tentative: list[TimedWord]
    seconds: float
    attention: list[WordAttention]

    def after(self, before: Heard) -> Heard:
        """This and what was heard before it as one."""
        return self._replace(words=before.words + self.words, attention=before.attention + self.attention)

    def as_dict(self) -> dict[str, Any]:
        """A line of json."""
        return {
            "seconds": round(self.seconds, 3),
            "words": [word.as_dict() for word in self.words],
            "tentative": " ".join(word.text for word in self.tentative),
        }


@dataclass(frozen=True)
class LiveSettings:
    """When a word is sure.

    Attributes:
        period_seconds: of sound between two looks at what has been heard.
        margin_seconds: of sound after the end of a word until it may be sure.
        probability: that the model gives a word, the product over its tokens, from which it may be sure then.
        doubt_seconds: of sound after the end of a word until it may be sure whatever its probability.
        agreement: looks in a row that have to find the same word, and the same words before it (Polak et al. 2022,
            section 3.2, "local agreement").
        pause_seconds: after a sure word, from which a new part begins, without what was said before.
        max_seconds: of a part; a longer one is cut between two sure words. None for that of the recordings that the
            model was trained on, at most 12 s, which is also what it is where that is not known.
        word_times: where the ends of words come from, "attention" or "ctc".
    """

    period_seconds: Positive = 0.1
    margin_seconds: NotNegative = 0.15
    probability: Share = 0.5
    doubt_seconds: NotNegative = 2.0
    agreement: Count = 2
    pause_seconds: Positive = 0.8
    max_seconds: Annotated[float, Gt(1)] | None = None
    word_times: Literal["attention", "ctc"] = "attention"


class Live:
    """A session of recognition, in memory that does not grow with its length.

    Every ``period_seconds`` what was heard since the last pause is read as if it ended here. Of what the search writes
    the words after those that are sure count: were the sure ones forced on the search, one that is wrong would bring
    others. They become sure from left to right: a word is sure when its end
    lies ``margin_seconds`` back (``doubt_seconds``, if the model gives it little) and ``agreement`` looks in a row have
    written it. The end is where attention and the sound have it, not where the search has come to: of a sentence
    that is broken off, the model gladly writes the rest.

    Args:
        predictor: that was trained on recordings.
        settings: when a word is sure.

    Raises:
        ValueError: if it was not trained on recordings, or not with CTC where its times are asked for.
    """

    def __init__(self, predictor: Predictor, settings: LiveSettings | None = None) -> None:
        self.settings = settings or LiveSettings()
        check_recordings(predictor, self.settings.word_times)
        self.predictor, self._rate = predictor, predictor.reader.sample_rate
        trained = min(_LONGEST, max(_SHORTEST, predictor.max_seconds or _LONGEST))
        self._max_seconds = self.settings.max_seconds or trained
        self._start = 0  # of the part, in samples of the session
        self._part = GrowingMemory(predictor, torch.zeros(0))
        self._sure: list[TimedWord] = []  # of the part
        self._shown: list[str] = []  # the tentative words of the last look
        self._looks: deque[list[str]] = deque(maxlen=self.settings.agreement - 1)  # all words of the looks before
        self._loudness: deque[float] = deque(maxlen=_REMEMBERED)  # decibels of the last sure words
        self._unread = 0  # samples since the last look

    def __call__(self, chunks: Iterable[Any], sample_rate: int | None = None) -> Iterator[Heard]:
        """What is heard in chunks of sound, whenever words are new or have changed; at the end every word is sure.

        Args:
            chunks: (L,) or (channels, L) each, arrays or tensors of floats in [-1, 1] or of 16-bit integers.
            sample_rate: in Hz; None for the model's own.
        """
        size = round(max(_AT_ONCE, self.settings.period_seconds) * self._rate)
        for samples in resampled(chunks, sample_rate or self._rate, self._rate):
            for first in range(0, len(samples), size):
                if (found := self.hear(samples[first : first + size])) is not None:
                    yield found
        if (found := self.finish()) is not None:
            yield found

    def hear(self, samples: np.ndarray) -> Heard | None:
        """Goes on by (L,) samples of the model's rate; None where nothing is new."""
        self._part.hear(torch.from_numpy(samples.astype(np.float32, copy=False)))
        self._unread += len(samples)
        if self._unread < self.settings.period_seconds * self._rate:
            return None
        return self._look(last=False)

    def finish(self) -> Heard | None:
        """Takes the recording to end here: all words are sure. None where nothing is new."""
        found = self._look(last=True) if len(self._part.samples) else None
        while self._sure and self._is_unread(self._sure[-1].end):
            self._begin(round(self._sure[-1].end * self._rate))
            if (more := self._look(last=True)) is not None:
                found = more if found is None else more.after(found)
        self._begin(len(self._part.samples))
        return found

    @property
    def seconds(self) -> float:
        """Of sound heard so far."""
        return (self._start + len(self._part.samples)) / self._rate

    def _look(self, last: bool) -> Heard | None:
        self._unread = 0
        level = waveform_levels(self._part.samples.numpy(), self._rate)
        words: list[TimedWord] = []
        attention: list[WordAttention] = []
        if not self._sure and not self._shown and (pause := lead(level)):
            self._begin(round(pause * self._rate))
            level = waveform_levels(self._part.samples.numpy(), self._rate)
        if is_spoken(level, 0.0, self._loudness):
            words, attention = self._read()
        words = until_quiet(words, level)
        number = len(words) if last else self._number_sure(words, [math.exp(one.log_prob) for one in attention])
        new, tentative = words[:number], words[number:]
        self._looks.append([word.text for word in (*self._sure, *words)])
        self._sure += new
        for word in new:
            self._loudness.append(loudness(word, level))
        found = Heard(self._in_session(new), self._in_session(tentative), self.seconds, attention[:number])
        shown = [word.text for word in tentative]
        changed, self._shown = bool(new) or shown != self._shown, shown
        if not last:
            self._cut(level, tentative)
        return found if changed else None

    @torch.no_grad()
    def _read(self) -> tuple[list[TimedWord], list[WordAttention]]:
        """The words after the sure ones as if the part ended here, and where the model looked for them."""
        predictor = self.predictor
        with evaluating(predictor.model):
            memory = self._part.memory()
            best = predictor.decode(memory)[0][0]
            words = timed_words(predictor, memory, 0, best, self.settings.word_times, self._part.samples)
        spans = predictor.tokenizer.word_spans(best.tokens)
        log_probs = word_log_probs(best.log_probs.tolist(), spans)
        weights, begin = best.weights.mean(dim=1).float().cpu().numpy(), self._start / self._rate
        attention = [
            WordAttention(weights[start:stop].mean(axis=0), begin, log_prob)
            for (start, stop), log_prob in zip(spans, log_probs, strict=True)
        ]
        first = self._first_behind(words)
        return words[first:], attention[first:]

    def _first_behind(self, words: list[TimedWord]) -> int:
        """The place of the first word after the sure ones: by number where they stand there again, else by time."""
        known = len(self._sure)
        if [word.text for word in words[:known]] == [word.text for word in self._sure]:
            return known
        until = self._sure[-1].end
        return next((place for place, word in enumerate(words) if (word.start + word.end) / 2 > until), len(words))

    def _number_sure(self, words: list[TimedWord], probabilities: list[float]) -> int:
        """How many of the words after the sure ones are sure now."""
        known, texts = len(self._sure), [word.text for word in (*self._sure, *words)]
        seconds = len(self._part.samples) / self._rate
        if not known and seconds > self._max_seconds:  # something has to be, or nothing could be forgotten
            return sum(word.end <= seconds / 2 for word in words)
        if len(self._looks) < self.settings.agreement - 1:
            return 0
        for place, (word, probability) in enumerate(zip(words, probabilities, strict=True)):
            likely = probability >= self.settings.probability
            wait = self.settings.margin_seconds if likely else self.settings.doubt_seconds
            told = known + place + 1
            if word.end > seconds - wait or any(look[:told] != texts[:told] for look in self._looks):
                return place
        return len(words)

    def _is_unread(self, since: float) -> bool:
        """Whether something is said after a moment of the part at which its words end."""
        level = waveform_levels(self._part.samples.numpy(), self._rate)
        return is_unread(level, since, self._loudness)

    def _cut(self, level: np.ndarray, tentative: list[TimedWord]) -> None:
        """Begins a new part after a pause, or in a part that is too long."""
        seconds, pause = len(self._part.samples) / self._rate, self.settings.pause_seconds
        silent_since = self._sure[-1].end if self._sure else pause
        if not tentative and seconds - silent_since >= pause:
            # Loud sound after the last word that was written is no pause: it is read anew, by itself.
            unread = bool(self._sure) and self._is_unread(silent_since)
            self._begin(round((silent_since if unread else seconds - pause / 2) * self._rate))
        elif seconds > self._max_seconds:
            self._begin(round(self._quietest_boundary(level, seconds) * self._rate))

    def _quietest_boundary(self, level: np.ndarray, seconds: float) -> float:
        """Where to cut a part that is too long, in seconds: between sure words, or else behind what lies far back."""
        ends = [(one.end + other.start) / 2 for one, other in zip(self._sure, self._sure[1:], strict=False)]
        ends += [self._sure[-1].end] if self._sure else []
        late = [end for end in ends if end >= seconds / 3] or ends[-1:]
        if not late:
            return seconds / 2
        return min(late, key=lambda end: float(level[max(0, frame(end) - 3) : frame(end) + 3].mean()))

    def _begin(self, samples: int) -> None:
        """Leaves the first samples of the part behind, and the words in them."""
        samples = max(0, samples)
        seconds = samples / self._rate
        self._start += samples
        self._part = GrowingMemory(self.predictor, self._part.samples[samples:].clone())
        self._sure = [
            word._replace(start=word.start - seconds, end=word.end - seconds)
            for word in self._sure
            if word.start + word.end > 2 * seconds
        ]
        self._looks.clear()
        self._shown = []

    def _in_session(self, words: list[TimedWord]) -> list[TimedWord]:
        """Words with times from the start of the session."""
        start = self._start / self._rate
        return [word._replace(start=word.start + start, end=word.end + start) for word in words]
