"""Plain text, one sentence per line, and the texts of any other data set: what a language model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries, Split
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.data.reading.text import NORMALIZERS, Normalization, listed_lines
from multimodal_attn.types import Target, UnreadableError

Side = Literal["source", "target", "all"]
"""Which texts of a data set: those that are read, those that are written, or both."""


class Texts(Dataset):
    """Examples that are nothing but a text to be written; what there is to read is empty.

    Args:
        texts: one for each example.
        skipped: what had to be left out.
    """

    def __init__(self, texts: Sequence[str], skipped: Sequence[UnreadableError] = ()) -> None:
        self._texts = list(texts)
        super().__init__(TextReader(), LazyEntries(len(texts), self._entry), skipped)

    @classmethod
    def of(cls, source: Dataset, side: Side) -> Texts:
        """The texts of another data set; those that are written where there is none to read."""
        read = [] if side == "target" else [text for text in source.source_texts() if text]
        found = cls(read if side == "source" and read else [*read, *source.texts()], source.skipped)
        found.cut = source.cut if read else []  # of sources, which it may not have
        return found

    def _entry(self, index: int) -> Entry:
        text = self._texts[index]
        return Entry(str(index), (Target(text),), len(text))

    def read(self, index: int) -> str:
        return ""

    def texts(self) -> list[str]:
        return self._texts

    def lengths(self) -> list[float]:
        return [float(len(text)) for text in self._texts]


class TextFile(Texts):
    """The lines of a UTF-8 file; blank lines, and lines of which normalizing leaves nothing, are left out.

    Args:
        split: "train", "val" or "test".
        train: the file for training.
        val: the file for validation.
        test: the file for testing.
        normalize: "caption", "transcript" or "none" (white space only): as the texts of the run that it is to help.

    Raises:
        ValueError: if the file is missing or has no usable line.
    """

    def __init__(
        self,
        split: Split,
        train: str | Path | None = None,
        val: str | Path | None = None,
        test: str | Path | None = None,
        normalize: Normalization = "transcript",
    ) -> None:
        name = {"train": train, "val": val, "test": test}[split]
        if name is None:
            raise ValueError(f"data.{split}: missing; expected a text file with one sentence per line")
        path = Path(name).expanduser()
        lines = listed_lines(path, f"data.{split}", "a UTF-8 text file with one sentence per line")
        texts = [text for line in lines if (text := NORMALIZERS[normalize](line))]
        if not texts:
            raise ValueError(f"data.{split}: '{path}' has no line with a text")
        super().__init__(texts)
