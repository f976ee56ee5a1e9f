"""Flickr30k: 31,783 photos with five captions each (Young et al., 2014)."""

from __future__ import annotations

from pathlib import Path

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.flickr8k import read_tokens
from multimodal_attn.data.datasets.flickr30k_entities import Flickr30kEntities
from multimodal_attn.data.datasets.photos import CaptionedPhotos
from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.data.reading.text import listed_lines
from multimodal_attn.ranges import ImageSize
from multimodal_attn.types import UnreadableError

FOLDERS = ("flickr30k-images", "flickr30k_images")
CAPTIONS = ("results_20130124.token", "results.csv")
LAYOUT = (
    f"{' or '.join(FOLDERS)} with *.jpg, {' or '.join(CAPTIONS)}, and train.txt, val.txt and test.txt with a photo's"
    " number a line, there or in flickr30k_entities/"
)


class Flickr30k(CaptionedPhotos):
    """Photos in the two layouts in which the corpus is passed on, one example per photo.

    The captions are those of ``results_20130124.token`` (``name.jpg#0<tab>caption``) or, without it, of ``results.csv``
    (``name.jpg| 0| caption``). Neither has a split: Flickr30k Entities brings one in train.txt, val.txt and test.txt.
    Where its ``Sentences`` and ``Annotations`` lie there as well, captions carry boxes.

    Args:
        split: "train", "val" or "test".
        root: folder that holds what is described above.
        image_size: side in pixels of the pictures.
        fit: how a photo becomes square, "squash", "crop" or "pad"; see ``read_image``.

    Raises:
        ValueError: if a file of the layout, or all of the split's photos are missing.
    """

    def __init__(self, split: Split, root: str | Path, image_size: ImageSize = 224, fit: Fit = "squash") -> None:
        root = Path(root).expanduser().absolute()
        folder = _first(root, FOLDERS)
        expected = f"the layout {LAYOUT}"
        numbers = listed_lines(_first(root, (f"{split}.txt", f"flickr30k_entities/{split}.txt")), "data.root", expected)
        captions: dict[str, list[str]] = {f"{Path(number).stem}.jpg": [] for number in " ".join(numbers).split()}
        path = _first(root, CAPTIONS)
        lines = listed_lines(path, "data.root", expected)
        read = read_tokens if path.name == CAPTIONS[0] else _read_table
        entities = root / "flickr30k_entities"
        super().__init__(
            folder,
            captions,
            f"data.root: expected {expected}",
            image_size,
            fit,
            Flickr30kEntities(entities) if (entities / "Sentences").is_dir() else None,
            read(lines, path, captions),
        )


def _read_table(lines: list[str], path: Path, captions: dict[str, list[str]]) -> list[UnreadableError]:
    """As ``read_tokens``, from lines such as ``name.jpg| 0| caption`` after a line with the names of the columns."""
    damaged = []
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line.split("|", maxsplit=2)]
        if not line.strip() or (len(cells) == 3 and cells[0] not in captions):
            continue
        if len(cells) == 3 and cells[2]:
            captions[cells[0]].append(cells[2])
        else:
            damaged.append(UnreadableError(f"{path}:{number}", "no caption; expected name.jpg| 0| caption"))
    return damaged


def _first(root: Path, names: tuple[str, ...]) -> Path:
    """The first of some files or folders that is there."""
    for name in names:
        if (root / name).exists():
            return root / name
    raise ValueError(f"data.root: '{root}' has no {' or '.join(names)}; expected the layout {LAYOUT}")
