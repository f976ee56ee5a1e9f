"""Photos with several captions each: what the readers of the captioning corpora share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from multimodal_attn.data.datasets.base import Dataset, Entry
from multimodal_attn.data.datasets.flickr30k_entities import Flickr30kEntities
from multimodal_attn.data.modalities.picture import PictureReader
from multimodal_attn.data.reading.files import local_path
from multimodal_attn.data.reading.images import box_in_frame, photo_frame
from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.data.reading.text import normalize_caption
from multimodal_attn.types import Box, Target, UnreadableError


class CaptionedPhotos(Dataset):
    """One example per photo, which is read once for all of its captions.

    Captions are normalized; one of which nothing remains is listed.

    The key of an example is the photo's path below ``folder``.

    Args:
        folder: that the photos' paths start from.
        captions: path of each of the split's photos below ``folder`` -> its captions as the corpus has them.
        expected: what ``folder`` should hold, for the error.
        image_size: side in pixels of the pictures.
        fit: how a photo becomes square, "squash", "crop" or "pad"; see ``read_image``.
        entities: where to look for the boxes of the captions' phrases; their head nouns carry them (see
            ``Flickr30kEntities``). Captions that are not found there have no boxes and are counted.
        skipped: what the reader has left out so far.

    Attributes:
        skipped: also photos without a file or without a caption.
        num_ungrounded: captions that were not found among the Entities sentences; 0 without Entities.

    Raises:
        ValueError: if no photo is left.
    """

    def __init__(
        self,
        folder: Path,
        captions: Mapping[str, Iterable[str]],
        expected: str,
        image_size: int = 224,
        fit: Fit = "squash",
        entities: Flickr30kEntities | None = None,
        skipped: Iterable[UnreadableError] = (),
    ) -> None:
        entries: list[Entry] = []
        super().__init__(PictureReader(image_size, fit), entries, skipped)
        self.folder, self.fit = folder, fit
        self.num_ungrounded = 0
        files = Listing(folder)
        for name, written in captions.items():
            if name not in files:
                self.skipped.append(UnreadableError(str(folder / name), "no such file"))
                continue
            texts = []
            for caption in written:
                if text := normalize_caption(caption):
                    texts.append(text)
                else:
                    self.skipped.append(UnreadableError(str(folder / name), f"caption without words: {caption!r}"))
            if texts:
                entries.append(Entry(name, self._ground(name, texts, entities)))
            else:
                self.skipped.append(UnreadableError(str(folder / name), "no caption"))
        if not entries:
            raise ValueError(f"{expected}; '{folder}' has none of the split's {len(captions)} photos with a caption")

    def path(self, index: int) -> str:
        return str(self.folder / local_path(self.entries[index].key))

    def _ground(self, name: str, captions: list[str], entities: Flickr30kEntities | None) -> tuple[Target, ...]:
        if entities is None:
            return tuple(Target(text) for text in captions)
        sentences: dict[str, dict[int, tuple[Box, ...]]] = {}
        try:
            sentences = entities.sentences(Path(name).stem.partition("_")[0])  # NUMBER or NUMBER_hash: NUMBER there
            if self.fit == "crop" and any(sentences.values()):
                frame = photo_frame(self.folder / name, self.fit)
                sentences = {text: in_frame(boxes, frame) for text, boxes in sentences.items()}
        except ValueError as error:
            self.skipped.append(UnreadableError(name, f"used without boxes: {error}"))
            sentences = {}
        found = sum(text in sentences for text in captions)
        self.num_ungrounded += len(captions) - found
        return tuple(Target(text, sentences.get(text, {})) for text in captions)


class Listing:
    """Which files there are below a folder; each folder is listed once, which is faster than to ask for each file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[str, frozenset[str]] = {}

    def __contains__(self, name: str) -> bool:
        if name.startswith("/") or ".." in name.split("/"):  # a list of photos has no business elsewhere
            return False
        parent, _, file = local_path(name).rpartition("/")
        if parent not in self._names:
            place = self.folder / parent
            self._names[parent] = frozenset(os.listdir(place)) if place.is_dir() else frozenset()
        return file in self._names[parent]


def in_frame(grounded: dict[int, tuple[Box, ...]], frame: Box) -> dict[int, tuple[Box, ...]]:
    """Boxes of words in fractions of a part of the photo; words of which nothing is seen there have none."""
    moved = {word: [box_in_frame(box, frame) for box in boxes] for word, boxes in grounded.items()}
    kept = {word: tuple(box for box in boxes if box is not None) for word, boxes in moved.items()}
    return {word: boxes for word, boxes in kept.items() if boxes}
