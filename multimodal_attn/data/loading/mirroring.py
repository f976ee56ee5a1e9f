"""Training on photos and on their mirror images."""

from __future__ import annotations

from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries
from multimodal_attn.types import Box, Target

_SIDES = {"left": "right", "right": "left"}


class Mirrored(Dataset):
    """Each picture twice, as it is and mirrored left to right, with its boxes and the words "left" and "right".

    An epoch is twice as long, and a feature cache holds both. Indices from ``len(source)`` on are the mirror images.

    Args:
        source: a data set of pictures.

    Raises:
        ValueError: for another data set.
    """

    def __init__(self, source: Dataset) -> None:
        if source.reader.modality != "picture":
            raise ValueError(f"data.mirror: true; expected false, as {source.reader.phrase} has no mirror image")
        self.source = source
        super().__init__(source.reader, LazyEntries(2 * len(source), self._entry), source.skipped)

    def _entry(self, index: int) -> Entry:
        entry = self.source.entries[index % len(self.source)]
        if index < len(self.source):
            return entry
        return Entry(f"{entry.key} (mirrored)", tuple(map(mirrored_target, entry.targets)), entry.length)

    def read(self, index: int) -> Tensor:
        picture = self.source.read(index % len(self.source))
        assert isinstance(picture, Tensor), "of the modality picture"
        return picture if index < len(self.source) else picture.flip(-1)

    def fingerprint(self, index: int) -> str | None:
        known = self.source.fingerprint(index % len(self.source))
        return known if known is None or index < len(self.source) else f"{known}:mirrored"

    def texts(self) -> list[str]:
        """Of the pictures as they are: a word does not become frequent by being mirrored."""
        return self.source.texts()


def mirrored_target(target: Target) -> Target:
    """The text and the boxes of a picture's mirror image."""
    text = " ".join(_SIDES.get(word, word) for word in target.text.split())
    boxes = {
        word: tuple(Box(1 - box.right, box.top, 1 - box.left, box.bottom) for box in places)
        for word, places in target.boxes.items()
    }
    return Target(text, boxes, target.times)
