"""Flickr8k: 8,000 photos with five captions each (Hodosh et al., 2013)."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from multimodal_attn.data.datasets.flickr30k_entities import Flickr30kEntities
from multimodal_attn.data.features import file_fingerprint
from multimodal_attn.data.images import read_image
from multimodal_attn.data.text import normalize_caption
from multimodal_attn.types import Box, Example, Target, UnreadableError

LAYOUT = (
    "Flicker8k_Dataset/*.jpg, Flickr8k_text/Flickr8k.token.txt, "
    "Flickr8k_text/Flickr_8k.{trainImages,devImages,testImages}.txt"
)
SPLIT_FILES = {"train": "trainImages", "val": "devImages", "test": "testImages"}


class Flickr8k:
    """Photos in the layout in which the corpus is downloaded, one example a photo.

    Where ``flickr30k_entities/`` with ``Sentences`` and ``Annotations`` lies beside, the head nouns of the captions
    carry the boxes of their phrases (see ``Flickr30kEntities``). Its captions differ from these in a few cases; such
    captions, and all captions of photos that are not annotated, have no boxes and are counted.

    Args:
        split: "train", "val" (the corpus calls it dev) or "test".
        root: folder that holds ``Flicker8k_Dataset`` (spelt so) and ``Flickr8k_text``.
        image_size: side in pixels that the photos are squashed to.

    Attributes:
        skipped: photos without a file or without a caption, lines without a caption.
        num_grounded: captions that were found among the Entities sentences.
        num_ungrounded: captions that were not; 0 without Entities.

    Raises:
        ValueError: if the split, a file of the layout, or all of the split's photos are missing.
    """

    def __init__(self, split: str, root: str | Path, image_size: int = 224) -> None:
        if split not in SPLIT_FILES:
            raise ValueError(f"data.split: '{split}'; expected one of {', '.join(SPLIT_FILES)}")
        if not root:
            raise ValueError(f"data.root: missing; expected a folder with the layout {LAYOUT}")
        self.root, self.image_size = Path(root).expanduser().absolute(), image_size
        self.skipped: list[UnreadableError] = []
        self.num_grounded = self.num_ungrounded = 0

        lines = _lines(self.root, f"Flickr8k_text/Flickr_8k.{SPLIT_FILES[split]}.txt")
        names = dict.fromkeys(line.strip() for line in lines if line.strip())
        captions = self._read_captions(names)
        folder = self.root / "Flicker8k_Dataset"
        present = set(os.listdir(folder)) if folder.is_dir() else set()
        entities_folder = self.root / "flickr30k_entities"
        entities = Flickr30kEntities(entities_folder) if entities_folder.is_dir() else None

        self._examples: list[tuple[str, tuple[Target, ...]]] = []
        for name in names:
            if name not in present:
                self.skipped.append(UnreadableError(str(folder / name), "no such file"))
            elif name not in captions:
                self.skipped.append(UnreadableError(str(folder / name), "no caption in Flickr8k.token.txt"))
            else:
                self._examples.append((name, self._ground(name, captions[name], entities)))
        if not self._examples:
            raise ValueError(f"data.root: '{folder}' has no photo of split '{split}'; expected the layout {LAYOUT}")

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        return Example(self.key(index), read_image(self.path(index), self.image_size), self.targets(index))

    def key(self, index: int) -> str:
        """The photo's file name."""
        return self._examples[index][0]

    def targets(self, index: int) -> tuple[Target, ...]:
        """The photo's captions, without reading the photo."""
        return self._examples[index][1]

    def path(self, index: int) -> str:
        return str(self.root / "Flicker8k_Dataset" / self.key(index))

    def fingerprint(self, index: int) -> str:
        """Changes when the photo or its size here does."""
        return f"{file_fingerprint(self.path(index))}:{self.image_size}"

    def texts(self) -> list[str]:
        return [target.text for _, targets in self._examples for target in targets]

    def lengths(self) -> list[float]:
        return [1.0] * len(self)

    def _read_captions(self, names: Container[str]) -> dict[str, list[str]]:
        captions: dict[str, list[str]] = {}
        for number, line in enumerate(_lines(self.root, "Flickr8k_text/Flickr8k.token.txt"), start=1):
            head, tab, caption = line.partition("\t")  # name.jpg#0<tab>caption
            name = head.rpartition("#")[0].strip()
            if not line.strip() or (tab and name not in names):  # most lines speak of other splits
                continue
            text = normalize_caption(caption)
            if name and text:
                captions.setdefault(name, []).append(text)
            else:
                place = self.root / "Flickr8k_text" / "Flickr8k.token.txt"
                self.skipped.append(UnreadableError(f"{place}:{number}", "no caption; expected name.jpg#0<tab>caption"))
        return captions

    def _ground(self, name: str, captions: list[str], entities: Flickr30kEntities | None) -> tuple[Target, ...]:
        if entities is None:
            return tuple(Target(text) for text in captions)
        sentences: dict[str, dict[int, tuple[Box, ...]]] = {}
        try:
            sentences = entities.sentences(name.partition("_")[0])  # NUMBER_hash.jpg here, NUMBER.txt there
        except ValueError as error:
            self.skipped.append(UnreadableError(name, f"used without boxes: {error}"))
        found = sum(text in sentences for text in captions)
        self.num_grounded += found
        self.num_ungrounded += len(captions) - found
        return tuple(Target(text, sentences.get(text, {})) for text in captions)


def _lines(root: Path, name: str) -> list[str]:
    try:
        return (root / name).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ValueError(f"data.root: '{root}' has no {name}; expected the layout {LAYOUT}") from error
