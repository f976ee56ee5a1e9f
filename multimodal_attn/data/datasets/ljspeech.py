"""LJ Speech: one reader, 24 hours of English books (Ito & Johnson 2017), as its archive unpacks."""

from __future__ import annotations

from pathlib import Path

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.recordings import TranscribedRecordings, Utterance, written
from multimodal_attn.data.reading.files import digest
from multimodal_attn.data.reading.text import listed_lines
from multimodal_attn.ranges import Count, SampleRate
from multimodal_attn.types import UnreadableError

LAYOUT = "metadata.csv (lines ID|text|text with numbers as words) and wavs/ID.wav"


class LJSpeech(TranscribedRecordings):
    """Utterances with the text in which numbers and abbreviations are written as words.

    The corpus has no split of its own: which utterances validate and test depends on the digests of their ids.

    Args:
        split: "train", "val" or "test".
        root: folder of the corpus.
        num_val: utterances of the split.
        num_test: the same.
        sample_rate: to resample to, in Hz; the files have 22.05 kHz.

    Raises:
        ValueError: if ``metadata.csv`` or ``wavs/`` is missing, or holds too little for the split sizes.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        num_val: Count = 300,
        num_test: Count = 300,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        folder = Path(root).expanduser()
        metadata = folder / "metadata.csv"
        for path in (metadata, folder / "wavs"):
            if not path.exists():
                raise ValueError(f"data.root: '{folder}' has no {path.name}; expected {LAYOUT}")
        bad: list[UnreadableError] = []
        texts: dict[str, str] = {}
        for number, line in enumerate(listed_lines(metadata, "data.root", LAYOUT), start=1):
            fields = [field.strip() for field in line.split("|")]  # not a csv: quotation marks are part of the text
            if len(fields) == 3:
                texts[Path(fields[0]).name] = fields[2]
            elif line:
                reason = f"{len(fields)} fields between bars; expected ID|text|text with numbers as words"
                bad.append(UnreadableError(f"{metadata}:{number}", reason))
        if len(texts) <= num_val + num_test:
            raise ValueError(
                f"data.num_val: {num_val} and data.num_test: {num_test}; expected less together than the {len(texts)}"
                f" utterances of '{metadata}'"
            )
        # By a digest and not by position, so that the three splits have every chapter.
        ranked = sorted(texts, key=digest)
        parts = {"val": ranked[:num_val], "test": ranked[num_val : num_val + num_test]}
        parts["train"] = ranked[num_val + num_test :]
        utterances = [
            Utterance(key, folder / "wavs" / f"{key}.wav", written(texts[key])) for key in sorted(parts[split])
        ]
        super().__init__(utterances, sample_rate, bad if split == "train" else ())
