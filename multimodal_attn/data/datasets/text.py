"""Plain text, one sentence a line, and the texts of any other data set: what a language model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from multimodal_attn.data.datasets.manifest import NORMALIZERS
from multimodal_attn.data.reading.text import read_lines
from multimodal_attn.types import Example, Target, UnreadableError


class Texts:
    """Examples that are nothing but a text.

    Args:
        texts: one for each example.
        skipped: what had to be left out.
    """

    def __init__(self, texts: Sequence[str], skipped: Sequence[UnreadableError] = ()) -> None:
        self._texts, self.skipped = list(texts), list(skipped)

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> Example:
        """The text with an empty waveform for its source."""
        return Example(str(index), torch.zeros(0), (Target(self._texts[index]),))

    def texts(self) -> list[str]:
        """Every text."""
        return self._texts

    def lengths(self) -> list[float]:
        """Characters of each text."""
        return [float(len(text)) for text in self._texts]


class TextFile(Texts):
    """The lines of a UTF-8 file; blank lines, and lines of which normalising leaves nothing, are left out.

    Args:
        split: "train", "val" or "test".
        train: the file for training.
        val: the file for validation.
        test: the file for testing.
        normalize: "caption", "transcript" or "none" (white space only): as the texts of the run that it is to help.

    Raises:
        ValueError: if an argument is not allowed, or the file is missing or has no usable line.
    """

    def __init__(
        self,
        split: str,
        train: str | Path | None = None,
        val: str | Path | None = None,
        test: str | Path | None = None,
        normalize: str = "transcript",
    ) -> None:
        if normalize not in NORMALIZERS:
            raise ValueError(f"data.normalize: {normalize!r}; expected one of {', '.join(NORMALIZERS)}")
        name = {"train": train, "val": val, "test": test}[split]
        if name is None:
            raise ValueError(f"data.{split}: missing; expected a text file with a sentence a line")
        path = Path(str(name)).expanduser()
        try:
            texts = [text for line in read_lines(path) if (text := NORMALIZERS[normalize](line))]
        except UnreadableError as error:
            raise ValueError(f"data.{split}: '{path}': {error.reason}") from None
        if not texts:
            raise ValueError(f"data.{split}: '{path}' has no line with a text")
        super().__init__(texts)
