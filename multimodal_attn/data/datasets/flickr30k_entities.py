"""Flickr30k Entities: which regions of a photo the phrases of its captions speak of (Plummer et al., 2015)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from multimodal_attn.data.reading.text import normalize_caption, read_lines
from multimodal_attn.types import Box

LAYOUT = "Sentences/ID.txt and Annotations/ID.xml"
# [/EN#chain/type/... words of the phrase], without nesting
_PHRASE = re.compile(r"\[/EN#(\d+)/\S+ ([^\]]*)\]")


class Flickr30kEntities:
    """Reads the boxes of annotated captions, for photos of Flickr30k and for those of Flickr8k, which are among them.

    The annotation marks phrases, but attention belongs to single words: a phrase's boxes are given to its head noun, by
    convention the phrase's last word ("a set of *stairs*"); a possessive "'s" at the end does not count. Phrases
    without a box (scenes, what has no region of its own, what was not annotated) are left out. A phrase that speaks of
    several things ("three *dogs*") has a box for each.

    Args:
        folder: holds ``Sentences/ID.txt`` (a caption a line) and ``Annotations/ID.xml``.
        option: key of the configuration that led there, for the error.

    Raises:
        ValueError: if one of the two folders is missing.
    """

    def __init__(self, folder: str | Path, option: str = "data.root") -> None:
        self.folder = Path(folder)
        for name in ("Sentences", "Annotations"):
            if not (self.folder / name).is_dir():
                raise ValueError(f"{option}: '{self.folder}' has no folder {name}; expected the layout {LAYOUT}")

    def sentences(self, image_id: str) -> dict[str, dict[int, tuple[Box, ...]]]:
        """The annotated captions of one photo.

        Args:
            image_id: the photo's Flickr number, e.g. "1000268201".

        Returns:
            normalised caption -> index of a head noun among its words -> the boxes of the phrase. Empty where the
            photo is not annotated.

        Raises:
            ValueError: if the photo's annotation is damaged.
        """
        try:
            boxes = _read_boxes(self.folder / "Annotations" / f"{image_id}.xml")
        except FileNotFoundError:
            return {}
        sentences = self.folder / "Sentences" / f"{image_id}.txt"
        return dict(_ground(line, boxes) for line in read_lines(sentences)) if sentences.is_file() else {}


def _read_boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    """Chain -> boxes, in fractions of the photo's true size, so that they hold for a squashed copy of it too."""
    try:
        annotation = ElementTree.parse(path).getroot()
        width, height = (int(annotation.findtext(f"size/{side}", "")) for side in ("width", "height"))
        boxes: dict[str, tuple[Box, ...]] = {}
        for thing in annotation.iterfind("object"):
            corners = thing.find("bndbox")
            if corners is None:  # marked as scene or nobndbox
                continue
            left, top, right, bottom = (int(corners.findtext(name, "")) for name in ("xmin", "ymin", "xmax", "ymax"))
            # Pixels are counted from 1 and both corners lie inside of the box.
            box = Box((left - 1) / width, (top - 1) / height, right / width, bottom / height)
            for chain in thing.iterfind("name"):
                boxes[chain.text or ""] = (*boxes.get(chain.text or "", ()), box)
    except (ElementTree.ParseError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{path}: not an annotation of Flickr30k Entities ({error})") from error
    return boxes


def _ground(line: str, boxes: dict[str, tuple[Box, ...]]) -> tuple[str, dict[int, tuple[Box, ...]]]:
    """A marked caption as normalised text and the boxes of its head nouns."""
    words: list[str] = []
    grounded: dict[int, tuple[Box, ...]] = {}
    end = 0
    for phrase in _PHRASE.finditer(line):
        words += normalize_caption(line[end : phrase.start()]).split()
        start, end = len(words), phrase.end()
        chain, text = phrase.groups()
        # Normalizing takes each piece between spaces alone, so the words of the pieces are those of the whole.
        words += normalize_caption(text).split()
        head = len(words) - 1 - text.endswith(" 's")
        if chain in boxes and head >= start:
            grounded[head] = boxes[chain]
    words += normalize_caption(line[end:]).split()
    return " ".join(words), grounded
