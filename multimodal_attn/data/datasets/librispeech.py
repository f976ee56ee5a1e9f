"""LibriSpeech: read English books (Panayotov, Chen, Povey & Khudanpur 2015), as its archives unpack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from multimodal_attn.data.datasets.recordings import Entry, Recordings, written
from multimodal_attn.types import UnreadableError

LAYOUT = (
    "SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt and .../SPEAKER-CHAPTER-NUMBER.flac, SUBSET such as dev-clean"
)


class LibriSpeech(Recordings):
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
        split: str,
        root: str | Path,
        train: Sequence[str] = ("train-clean-100",),
        val: Sequence[str] = ("dev-clean",),
        test: Sequence[str] = ("test-clean",),
        sample_rate: int = 16000,
    ) -> None:
        subsets = {"train": train, "val": val, "test": test}[split]
        if isinstance(subsets, str) or not subsets:
            raise ValueError(f"data.{split}: {subsets!r}; expected a list of subsets, such as [train-clean-100]")
        folder = Path(root).expanduser()
        unlisted: list[UnreadableError] = []
        entries = [entry for name in subsets for entry in _entries(folder, name, f"data.{split}", unlisted)]
        super().__init__(entries, sample_rate, unlisted)


def _entries(root: Path, subset: str, option: str, unlisted: list[UnreadableError]) -> Iterator[Entry]:
    """The utterances of a subset; adds recordings without a transcript to ``unlisted``."""
    folder = root / subset
    if not folder.is_dir():
        raise ValueError(f"data.root: '{root}' has no folder '{subset}' of {option}; expected {LAYOUT}")
    transcripts = sorted(folder.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise ValueError(f"data.root: '{folder}' has no SPEAKER/CHAPTER/*.trans.txt; expected {LAYOUT}")
    for file in transcripts:
        listed = set()
        for line in file.read_text(encoding="utf-8").splitlines():
            key, _, text = line.strip().partition(" ")
            if key:
                listed.add(key)
                yield Entry(key, file.parent / f"{key}.flac", written(text))
        unlisted += [
            UnreadableError(str(path), f"has no line in {file.name}")
            for path in sorted(file.parent.glob("*.flac"))
            if path.stem not in listed
        ]
