"""LibriSpeech: read English books (Panayotov, Chen, Povey & Khudanpur 2015), as its archives unpack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.recordings import TranscribedRecordings, Utterance, written
from multimodal_attn.data.reading.text import listed_lines
from multimodal_attn.ranges import SampleRate
from multimodal_attn.types import UnreadableError

LAYOUT = (
    "SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt and .../SPEAKER-CHAPTER-NUMBER.flac, SUBSET such as dev-clean"
)


Names = Annotated[tuple[str, ...], MinLen(1)]
"""Of subsets, such as [train-clean-100]."""


class LibriSpeech(TranscribedRecordings):
    """Utterances of some subsets; the corpus writes capitals without punctuation, which turn into lower case.

    Args:
        split: "train", "val" or "test".
        root: folder with the subsets, ``LibriSpeech/`` of the archives.
        train: subsets for training, such as ``["train-clean-100"]``.
        val: subsets for validation.
        test: subsets for testing.
        sample_rate: to resample to, in Hz.

    Raises:
        ValueError: if a subset is missing, or has no transcript.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        train: Names = ("train-clean-100",),
        val: Names = ("dev-clean",),
        test: Names = ("test-clean",),
        sample_rate: SampleRate = 16_000,
    ) -> None:
        subsets = {"train": train, "val": val, "test": test}[split]
        folder = Path(root).expanduser()
        unlisted: list[UnreadableError] = []
        utterances = [entry for name in subsets for entry in _utterances(folder, name, f"data.{split}", unlisted)]
        super().__init__(utterances, sample_rate, unlisted)


def _utterances(root: Path, subset: str, option: str, unlisted: list[UnreadableError]) -> Iterator[Utterance]:
    """The utterances of a subset; adds recordings without a transcript to ``unlisted``."""
    folder = root / subset
    if not folder.is_dir():
        raise ValueError(f"data.root: '{root}' has no folder '{subset}' of {option}; expected {LAYOUT}")
    transcripts = sorted(folder.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise ValueError(f"data.root: '{folder}' has no SPEAKER/CHAPTER/*.trans.txt; expected {LAYOUT}")
    for file in transcripts:
        listed = set()
        for line in listed_lines(file, "data.root", "lines of an utterance's number and its text"):
            key, *text = line.split(maxsplit=1) if line else ("",)
            if key and key not in listed:
                listed.add(key)
                yield Utterance(key, file.parent / f"{Path(key).name}.flac", written(" ".join(text)))
        unlisted += [
            UnreadableError(str(path), f"has no line in {file.name}")
            for path in sorted(file.parent.glob("*.flac"))
            if path.stem not in listed
        ]
