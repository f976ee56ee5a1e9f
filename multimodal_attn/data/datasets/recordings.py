"""Recordings with a transcript each: what the corpora that come in this form share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from multimodal_attn.data.datasets.base import Dataset, Entry
from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.reading.files import local_path
from multimodal_attn.data.reading.text import normalize_transcript
from multimodal_attn.types import Target, UnreadableError


class Utterance(NamedTuple):
    """An utterance as a corpus lists it.

    Attributes:
        key: unique within the split.
        path: of the recording.
        target: the transcript, as ``written`` normalizes it or with word times.
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


class TranscribedRecordings(Dataset):
    """Utterances with one transcript each.

    Args:
        utterances: in the order of the data set.
        sample_rate: to resample to, in Hz.
        skipped: what had to be left out before.

    Attributes:
        skipped: also recordings that are missing or have no readable header, and transcripts without a word.
    """

    def __init__(
        self, utterances: Iterable[Utterance], sample_rate: int, skipped: Iterable[UnreadableError] = ()
    ) -> None:
        entries: list[Entry] = []
        super().__init__(RecordingReader(sample_rate), entries, skipped)
        self._paths: list[str] = []
        for key, file, target, known in utterances:
            path = local_path(str(file))
            try:
                if not target.text:
                    raise UnreadableError(path, "has no word in its transcript")
                if known is not None and not os.path.isfile(path):
                    raise UnreadableError(path, "is missing")
                entries.append(Entry(key, (target,), self.reader.length(path) if known is None else known))
                self._paths.append(path)
            except UnreadableError as error:
                self.skipped.append(error)

    def path(self, index: int) -> str:
        return self._paths[index]
