"""The GRID corpus: six-word commands with word times (Cooke, Barker, Cunningham & Shao 2006)."""

from __future__ import annotations

from pathlib import Path

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.recordings import TranscribedRecordings, Utterance
from multimodal_attn.data.reading.text import listed_lines, read_lines
from multimodal_attn.ranges import SampleRate
from multimodal_attn.types import Span, Target, UnreadableError

UNITS_PER_SECOND = 25_000  # of the times in .align files
SILENCE = ("sil", "sp")
LAYOUT = (
    "{split}.txt (utterance ids, one per line), align/ID.align and ID.flac or ID.wav in a speaker's folder such as s1/"
)


class GridCorpus(TranscribedRecordings):
    """Utterances of one or more speakers below a folder.

    Args:
        split: "train", "val" or "test": the name of the list of utterances.
        root: folder with the lists, ``align/`` and one folder for each speaker.
        sample_rate: to resample to, in Hz.

    Raises:
        ValueError: if the folder or the split's list is missing.
    """

    def __init__(self, split: Split, root: str | Path, sample_rate: SampleRate = 16_000) -> None:
        folder = Path(root).expanduser()
        listing = folder / f"{split}.txt"
        if not listing.is_file():
            raise ValueError(f"data.root: '{folder}' has no {split}.txt; expected {LAYOUT.format(split=split)}")
        recordings = {path.stem: path for suffix in ("flac", "wav") for path in folder.glob(f"*/*.{suffix}")}
        utterances, skipped = [], []
        for key in " ".join(listed_lines(listing, "data.root", "utterance ids, one per line")).split():
            try:
                if key not in recordings:
                    raise UnreadableError(str(folder / f"*/{key}.flac"), "is missing")
                utterances.append(Utterance(key, recordings[key], read_alignment(folder / "align" / f"{key}.align")))
            except UnreadableError as error:
                skipped.append(error)
        super().__init__(utterances, sample_rate, skipped)


def read_alignment(path: Path) -> Target:
    """Words and their times from an ``.align`` file: lines of start, end and word.

    Raises:
        UnreadableError: if the file is missing, malformed or without a word.
    """
    try:
        rows = [line.split() for line in read_lines(path) if line]
        words = [(word, Span(int(start) / UNITS_PER_SECOND, int(end) / UNITS_PER_SECOND)) for start, end, word in rows]
    except ValueError as error:
        raise UnreadableError(str(path), f"is no alignment; expected lines of start, end and word ({error})") from None
    heard = [(word.lower(), span) for word, span in words if word not in SILENCE]
    if not heard:
        raise UnreadableError(str(path), "holds no word")
    if any(not 0 <= span.start <= span.end for _, span in heard):
        raise UnreadableError(str(path), "has a word that ends before it starts")
    return Target(" ".join(word for word, _ in heard), times=tuple(span for _, span in heard))
