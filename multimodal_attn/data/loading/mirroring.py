"""Training on photos and on their mirror images."""

from __future__ import annotations

from typing import Any

from multimodal_attn.types import Box, Example, Target, UnreadableError

_SIDES = {"left": "right", "right": "left"}


class Mirrored:
    """Each picture twice, as it is and mirrored left to right, with its boxes and the words "left" and "right".

    An epoch is twice as long, and a feature cache holds both. Indices from ``len(source)`` on are the mirror images.

    Args:
        source: a data set of pictures that knows its examples without reading them.

    Raises:
        ValueError: for another data set.
    """

    def __init__(self, source: Any) -> None:
        if not (hasattr(source, "fingerprint") and hasattr(source, "targets")):
            raise ValueError(f"data.mirror: {type(source).__name__} has nothing to mirror; expected photos")
        self.source = source
        self.skipped: list[UnreadableError] = source.skipped

    def __len__(self) -> int:
        return 2 * len(self.source)

    def __getitem__(self, index: int) -> Example:
        if index < len(self.source):
            example: Example = self.source[index]
            return example
        picture = self.source[index - len(self.source)].source.flip(-1)
        return Example(self.key(index), picture, self.targets(index))

    def key(self, index: int) -> str:
        name = self.source.key(index % len(self.source))
        return f"{name} (mirrored)" if index >= len(self.source) else name

    def targets(self, index: int) -> tuple[Target, ...]:
        targets: tuple[Target, ...] = self.source.targets(index % len(self.source))
        return tuple(mirrored_target(target) for target in targets) if index >= len(self.source) else targets

    def fingerprint(self, index: int) -> str:
        known: str = self.source.fingerprint(index % len(self.source))
        return f"{known}:mirrored" if index >= len(self.source) else known

    def texts(self) -> list[str]:
        """Of the pictures as they are: a word does not become frequent by being mirrored."""
        texts: list[str] = self.source.texts()
        return texts

    def lengths(self) -> list[float]:
        lengths: list[float] = self.source.lengths()
        return lengths + lengths


def mirrored_target(target: Target) -> Target:
    """The text and the boxes of a picture's mirror image."""
    text = " ".join(_SIDES.get(word, word) for word in target.text.split())
    boxes = {
        word: tuple(Box(1 - box.right, box.top, 1 - box.left, box.bottom) for box in places)
        for word, places in target.boxes.items()
    }
    return Target(text, boxes, target.times)
