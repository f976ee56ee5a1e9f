"""What a modality says of itself: how its sources are read, and how they are put into a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import BinaryIO, ClassVar

import torch
from torch import Tensor

from multimodal_attn.data.reading.files import file_fingerprint
from multimodal_attn.data.reading.samples import LONGEST_SECONDS
from multimodal_attn.data.reading.text import NORMALIZERS, Normalization
from multimodal_attn.types import Example, Modality, Target


class Reader(ABC):
    """Reads the sources of one modality. An instance holds the settings that they are read with.

    Attributes:
        modality: what it reads.
        phrase: what a file holds, for messages.
        suffixes: of the files that are taken for it where a folder is named.
        columns: of a table that lists such sources: the source and its text.
        normalization: how the texts of such sources usually are normalized.
        unit: of a source's length: "pictures", "seconds" or "characters".
        at_once: how many sources are decoded together where they come one by one.
        in_files: whether a table names a file for each source; if not, it holds the source itself.
        sample_rate: of waveforms, in Hz; 0 for other sources.
        longest_seconds: of a recording; longer ones are not read.
    """

    modality: ClassVar[Modality]
    phrase: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[str, str]]
    normalization: ClassVar[Normalization]
    unit: ClassVar[str]
    at_once: ClassVar[int]
    in_files: ClassVar[bool] = True
    sample_rate: int = 0
    longest_seconds: float = LONGEST_SECONDS

    @abstractmethod
    def read(self, place: str | BinaryIO) -> Tensor | str:
        """The source in a file, given by its path or as its content; the source itself where it is not ``in_files``.

        Raises:
            UnreadableError: if the file cannot be read as what it should be.
        """

    @abstractmethod
    def length(self, place: str) -> float:
        """The length of a source in ``unit``, without decoding it; raises as ``read`` does."""

    def check_length(self, source: Tensor | str, told: float, name: str) -> None:
        """Raises an UnreadableError if a source is of quite another length than what batches are planned with."""
        return

    def cut(self, place: str) -> str:
        """What ``read`` leaves out of a source's end, in words; empty for nothing."""
        return ""

    def target(self, text: str, normalize: Normalization, place: str) -> Target:
        """A text of a source, normalized, with what the two tell of it together."""
        return Target(NORMALIZERS[normalize](text))

    def fingerprint(self, path: str) -> str:
        """Changes when the file or what is made of it here does.

        Raises:
            OSError: if the file is gone.
        """
        return file_fingerprint(path)

    def examples(self, path: str) -> list[Example]:
        """What a file holds, at least one example without texts; raises as ``read`` does."""
        return [Example(path, self.read(path), sample_rate=self.sample_rate)]

    @staticmethod
    def pad(sources: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Sources of one shape as a batch, with their lengths along time: 1 for what has none.

        Shapes:
            sources: B of (...). Returns (B, ...) and (B,) int64.
        """
        return torch.stack(sources), torch.ones(len(sources), dtype=torch.long)


def pad_in_time(sources: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Sources of unequal length as a batch, with zeros at the end, and their lengths.

    Shapes:
        sources: B of (L, ...). Returns (B, L, ...) and (B,) int64.
    """
    lengths = torch.tensor([len(source) for source in sources], dtype=torch.long)
    return torch.nn.utils.rnn.pad_sequence(sources, batch_first=True), lengths
