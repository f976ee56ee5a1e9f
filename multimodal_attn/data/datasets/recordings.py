"""Recordings with a transcript each: what the corpora that come in this form share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from multimodal_attn.data.reading.audio import audio_seconds, read_audio
from multimodal_attn.data.reading.text import normalize_transcript
from multimodal_attn.types import Example, Target, UnreadableError


class Entry(NamedTuple):
    """An utterance as a corpus lists it.

    Attributes:
        key: unique within the split.
        path: of the recording.
        target: the transcript, as ``written`` normalises it or with word times.
        seconds: of the recording, where a list says so; None to ask the recording's header.
    """

    key: str
    path: Path
    target: Target
    seconds: float | None = None


def written(text: str) -> Target:
    """A transcript as ``normalize_transcript`` leaves it: lower case, letters, digits and the apostrophes of words,
    single spaces.
    """
    return Target(normalize_transcript(text))


class Recordings:
    """Utterances with one transcript each.

    Args:
        entries: in the order of the data set.
        sample_rate: to resample to, in Hz.
        skipped: what had to be left out before.

    Attributes:
        skipped: also recordings that are missing or have no readable header, and transcripts without a word.
    """

    def __init__(self, entries: Iterable[Entry], sample_rate: int, skipped: Iterable[UnreadableError] = ()) -> None:
        self.sample_rate = sample_rate
        self.skipped = list(skipped)
        self._items: list[tuple[str, Path, Target, float]] = []
        for key, path, target, known in entries:
            try:
                if not target.text:
                    raise UnreadableError(str(path), "has no word in its transcript")
                if known is not None and not path.is_file():
                    raise UnreadableError(str(path), "is missing")
                self._items.append((key, path, target, audio_seconds(path) if known is None else known))
            except UnreadableError as error:
                self.skipped.append(error)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Example:
        """The utterance.

        Raises:
            UnreadableError: if its recording cannot be decoded.
        """
        key, path, target, _ = self._items[index]
        return Example(key, read_audio(path, self.sample_rate), (target,))

    def key(self, index: int) -> str:
        """The utterance's id."""
        return self._items[index][0]

    def targets(self, index: int) -> tuple[Target, ...]:
        """The transcript, without reading the recording."""
        return (self._items[index][2],)

    def path(self, index: int) -> str:
        return str(self._items[index][1])

    def texts(self) -> list[str]:
        """Every transcript."""
        return [target.text for _, _, target, _ in self._items]

    def lengths(self) -> list[float]:
        """Seconds of each recording."""
        return [seconds for _, _, _, seconds in self._items]
