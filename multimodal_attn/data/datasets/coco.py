"""COCO captions: 123,000 photos with five captions each (Chen et al., 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.photos import CaptionedPhotos
from multimodal_attn.data.reading.json_files import read_json
from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.ranges import ImageSize
from multimodal_attn.types import UnreadableError


class Coco(CaptionedPhotos):
    """Photos in COCO's own layout, one example per photo.

    COCO keeps the captions of its test photos to itself: for a split with a test set see ``Karpathy``.

    Args:
        split: "train" or "val".
        root: folder that holds ``annotations/captions_{train,val}{year}.json`` and the photos in ``{train,val}{year}``.
        year: 2017 or 2014, which divide the same photos into another train and val.
        image_size: side in pixels of the pictures.
        fit: how a photo becomes square, "squash", "crop" or "pad"; see ``read_image``.

    Raises:
        ValueError: if the split, a file of the layout, or all of the split's photos are missing.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        year: Literal[2014, 2017] = 2017,
        image_size: ImageSize = 224,
        fit: Fit = "squash",
    ) -> None:
        if split == "test":
            raise ValueError("split: test; COCO gives captions for train and val; data=karpathy has a test set")
        root = Path(root).expanduser().absolute()
        layout = f"annotations/captions_{split}{year}.json, {split}{year}/*.jpg"
        path = root / "annotations" / f"captions_{split}{year}.json"
        content = read_json(path, "data.root", f"the layout {layout}")
        try:
            by_photo, skipped = _captions(path, content)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"data.root: '{path}' does not hold COCO's captions ({type(error).__name__}: {error}); expected images"
                " with id and file_name, and annotations with image_id and caption"
            ) from error
        super().__init__(
            root / f"{split}{year}",
            by_photo,
            f"data.root: expected the layout {layout}",
            image_size,
            fit,
            skipped=skipped,
        )


def _captions(path: Path, content: Any) -> tuple[dict[str, list[str]], list[UnreadableError]]:
    """The captions of each photo, and what is left out of them."""
    names = {image["id"]: str(image["file_name"]) for image in content["images"]}
    by_photo: dict[str, list[str]] = {name: [] for name in names.values()}
    skipped = []
    for number, annotation in enumerate(content["annotations"]):
        photo, caption = annotation["image_id"], annotation["caption"]
        if photo not in names:
            reason = f"caption of an image {photo} that is not listed"
            skipped.append(UnreadableError(f"{path}: annotation {number}", reason))
        elif not isinstance(caption, str):
            reason = f"caption: {str(caption)[:50]}; expected a text"
            skipped.append(UnreadableError(f"{path}: annotation {number}", reason))
        else:
            by_photo[names[photo]].append(caption)
    return by_photo, skipped
