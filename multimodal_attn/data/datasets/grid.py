"""The GRID corpus: six-word commands with word times (Cooke, Barker, Cunningham & Shao 2006)."""

from __future__ import annotations

from pathlib import Path

from multimodal_attn.data.audio import audio_seconds, read_audio
from multimodal_attn.types import Example, Span, Target, UnreadableError

UNITS_PER_SECOND = 25_000  # of the times in .align files
SILENCE = ("sil", "sp")
LAYOUT = (
    "{split}.txt (utterance ids, one a line), align/ID.align and ID.flac or ID.wav in a speaker's folder such as s1/"
)


class GridCorpus:
    """Utterances of one or more speakers below a folder.

    Args:
        split: "train", "val" or "test": the name of the list of utterances.
        root: folder with the lists, ``align/`` and one folder for each speaker.
        sample_rate: to resample to, in Hz.

    Raises:
        ValueError: if the folder or the split's list is missing.
    """

    def __init__(self, split: str, root: str | Path, sample_rate: int = 16000) -> None:
        folder = Path(root).expanduser()
        listing = folder / f"{split}.txt"
        if not listing.is_file():
            raise ValueError(f"data.root: '{folder}' has no {split}.txt; expected {LAYOUT.format(split=split)}")
        self.sample_rate = sample_rate
        self.skipped: list[UnreadableError] = []
        recordings = {path.stem: path for suffix in ("flac", "wav") for path in folder.glob(f"*/*.{suffix}")}
        self._items: list[tuple[str, Path, Target, float]] = []
        for key in listing.read_text().split():
            try:
                if key not in recordings:
                    raise UnreadableError(str(folder / f"*/{key}.flac"), "is missing")
                target = read_alignment(folder / "align" / f"{key}.align")
                self._items.append((key, recordings[key], target, audio_seconds(recordings[key])))
            except UnreadableError as error:
                self.skipped.append(error)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Example:
        """The utterance with its word times.

        Raises:
            UnreadableError: if its recording cannot be decoded.
        """
        key, path, target, _ = self._items[index]
        return Example(key, read_audio(path, self.sample_rate), (target,))

    def key(self, index: int) -> str:
        """The utterance's id."""
        return self._items[index][0]

    def targets(self, index: int) -> tuple[Target, ...]:
        """The transcript with its word times, without reading the recording."""
        return (self._items[index][2],)

    def texts(self) -> list[str]:
        """Every transcript."""
        return [target.text for _, _, target, _ in self._items]

    def lengths(self) -> list[float]:
        """Seconds of each recording."""
        return [seconds for _, _, _, seconds in self._items]


def read_alignment(path: Path) -> Target:
    """Words and their times from an ``.align`` file: lines of start, end and word.

    Raises:
        UnreadableError: if the file is missing, malformed or without a word.
    """
    try:
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        words = [(word, Span(int(start) / UNITS_PER_SECOND, int(end) / UNITS_PER_SECOND)) for start, end, word in rows]
    except (OSError, ValueError) as error:
        raise UnreadableError(str(path), f"is no alignment; expected lines of start, end and word ({error})") from None
    heard = [(word.lower(), span) for word, span in words if word not in SILENCE]
    if not heard:
        raise UnreadableError(str(path), "holds no word")
    return Target(" ".join(word for word, _ in heard), times=tuple(span for _, span in heard))
