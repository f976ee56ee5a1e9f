"""A data set of examples that are at hand, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry
from multimodal_attn.data.modalities import READERS
from multimodal_attn.types import Example, UnreadableError


class Listed(Dataset):
    """Examples as they are given; an error in place of one is raised when it is read.

    Args:
        examples: all of one modality.
        skipped: what is said to have been left out.
    """

    def __init__(self, examples: Sequence[Example | UnreadableError], skipped: Sequence[UnreadableError] = ()) -> None:
        self.examples = examples
        reader = next(READERS[found.modality]() for found in examples if isinstance(found, Example))
        super().__init__(reader, [_entry(found, reader.sample_rate) for found in examples], skipped)

    def read(self, index: int) -> Tensor | str:
        found = self.examples[index]
        if isinstance(found, UnreadableError):
            raise found
        return found.source


def _entry(found: Example | UnreadableError, sample_rate: int) -> Entry:
    if isinstance(found, UnreadableError):
        return Entry(found.path, ())
    return Entry(found.key, found.targets, len(found.source) / sample_rate if found.modality == "recording" else 1.0)
