"""Flickr8k: 8,000 photos with five captions each (Hodosh et al., 2013)."""

from __future__ import annotations

from pathlib import Path

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.flickr30k_entities import Flickr30kEntities
from multimodal_attn.data.datasets.photos import CaptionedPhotos
from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.data.reading.text import listed_lines
from multimodal_attn.ranges import ImageSize
from multimodal_attn.types import UnreadableError

LAYOUT = (
    "Flicker8k_Dataset/*.jpg, Flickr8k_text/Flickr8k.token.txt, "
    "Flickr8k_text/Flickr_8k.{trainImages,devImages,testImages}.txt"
)
SPLIT_FILES = {"train": "trainImages", "val": "devImages", "test": "testImages"}
TOKENS = "Flickr8k_text/Flickr8k.token.txt"


class Flickr8k(CaptionedPhotos):
    """Photos in the layout in which the corpus is downloaded, one example per photo.

    Where ``flickr30k_entities/`` with ``Sentences`` and ``Annotations`` lies beside, captions that are found there (all
    but a few of the annotated photos) carry boxes.

    Args:
        split: "train", "val" (the corpus calls it dev) or "test".
        root: folder that holds ``Flicker8k_Dataset`` (spelled so) and ``Flickr8k_text``.
        image_size: side in pixels of the pictures.
        fit: how a photo becomes square, "squash", "crop" or "pad"; see ``read_image``.

    Raises:
        ValueError: if a file of the layout, or all of the split's photos are missing.
    """

    def __init__(self, split: Split, root: str | Path, image_size: ImageSize = 224, fit: Fit = "squash") -> None:
        root = Path(root).expanduser().absolute()
        lines = _lines(root, f"Flickr8k_text/Flickr_8k.{SPLIT_FILES[split]}.txt")
        captions: dict[str, list[str]] = {line: [] for line in lines if line}
        entities = root / "flickr30k_entities"
        super().__init__(
            root / "Flicker8k_Dataset",
            captions,
            f"data.root: expected the layout {LAYOUT}",
            image_size,
            fit,
            Flickr30kEntities(entities) if entities.is_dir() else None,
            read_tokens(_lines(root, TOKENS), root / TOKENS, captions),
        )


def read_tokens(lines: list[str], path: Path, captions: dict[str, list[str]]) -> list[UnreadableError]:
    """Fills in the captions of the photos that are wanted, from lines such as ``name.jpg#0<tab>caption``.

    Args:
        lines: of the file.
        path: of the file, to name it.
        captions: name of each photo that is wanted -> its captions, in the order of the file.

    Returns:
        Lines that are damaged.
    """
    damaged = []
    for number, line in enumerate(lines, start=1):
        head, tab, caption = line.partition("\t")
        name = head.rpartition("#")[0].strip()
        if not line or (tab and name and name not in captions):  # most lines speak of other splits
            continue
        if name and caption.strip():
            captions[name].append(caption)
        else:
            damaged.append(UnreadableError(f"{path}:{number}", "no caption; expected name.jpg#0<tab>caption"))
    return damaged


def _lines(root: Path, name: str) -> list[str]:
    if not (root / name).is_file():
        raise ValueError(f"data.root: '{root}' has no {name}; expected the layout {LAYOUT}")
    return listed_lines(root / name, "data.root", f"the layout {LAYOUT}")
