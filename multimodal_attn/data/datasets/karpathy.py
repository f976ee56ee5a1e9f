"""Karpathy's splits of COCO, Flickr8k and Flickr30k (Karpathy & Fei-Fei 2015), on which most papers report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.flickr30k_entities import Flickr30kEntities
from multimodal_attn.data.datasets.photos import CaptionedPhotos, Listing
from multimodal_attn.data.reading.json_files import read_json
from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.ranges import ImageSize
from multimodal_attn.types import UnreadableError

EXPECTED = "dataset_coco.json, dataset_flickr8k.json or dataset_flickr30k.json"


class Karpathy(CaptionedPhotos):
    """Photos with the captions and the split that one of Karpathy's files gives them.

    A photo of COCO is looked for as the file names it (``val2014/COCO_val2014_000000391895.jpg``), without its folder,
    and under its newer name (``train2017/`` or ``val2017/000000391895.jpg``). One that a file puts into train and into
    val or test does not train, and is listed.

    Args:
        split: "train", "val" or "test".
        captions: dataset_coco.json, dataset_flickr8k.json or dataset_flickr30k.json.
        images: folder of the photos; for COCO the one that holds ``train2014`` and ``val2014``.
        restval: join the 30,000 photos of COCO's validation set that are in no split to train, as most papers do.
        entities: folder with ``Sentences`` and ``Annotations`` of Flickr30k Entities, whose boxes the captions then
            carry; None for no boxes.
        image_size: side in pixels of the pictures.
        fit: how a photo becomes square, "squash", "crop" or "pad"; see ``read_image``.

    Raises:
        ValueError: if the file, the folder, or all of the split's photos are missing.
    """

    def __init__(
        self,
        split: Split,
        captions: str | Path,
        images: str | Path,
        restval: bool = True,
        entities: str | Path | None = None,
        image_size: ImageSize = 224,
        fit: Fit = "squash",
    ) -> None:
        path = Path(captions).expanduser().absolute()
        folder = Path(images).expanduser().absolute()
        if not folder.is_dir():
            raise ValueError(f"data.images: there is no folder '{folder}'; expected the photos of '{path.name}'")
        content = read_json(path, "data.captions", EXPECTED)
        if not isinstance(content, dict) or not isinstance(content.get("images"), list):
            raise ValueError(f"data.captions: '{path}' has no list of images; expected {EXPECTED}")
        by_photo, skipped = _captions(path, content["images"], split, restval, Listing(folder))
        super().__init__(
            folder,
            by_photo,
            f"data.images: expected the photos of '{path}'",
            image_size,
            fit,
            Flickr30kEntities(Path(entities).expanduser(), "data.entities") if entities is not None else None,
            skipped,
        )


def _captions(
    path: Path, records: list[Any], split: Split, restval: bool, files: Listing
) -> tuple[dict[str, list[str]], list[UnreadableError]]:
    """The captions of each photo of a split, and what is left out of them."""
    wanted = {split, "restval"} if split == "train" and restval else {split}
    judged = _splits(records, {"val", "test"}) if split == "train" else {}
    by_photo: dict[str, list[str]] = {}
    skipped = []
    for number, record in enumerate(records):
        place = f"{path}: image {number}"
        try:
            if record["split"] in wanted:
                for reason in _add(record, by_photo, judged, files):
                    skipped.append(UnreadableError(place, reason))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}; expected split, filename and sentences with raw"
            skipped.append(UnreadableError(place, reason))
    return by_photo, skipped


def _add(
    record: dict[str, Any], by_photo: dict[str, list[str]], judged: dict[str, str], files: Listing
) -> Iterator[str]:
    """Adds a photo's captions to those of its name, one by one; gives the reasons for those that it leaves out."""
    if (other := judged.get(str(record["filename"]))) is not None:
        yield f"{record['filename']} is in the {other} split too, and kept out of train"
        return
    names, sentences = _names(record), record["sentences"]
    captions = by_photo.setdefault(next((name for name in names if name in files), names[0]), [])  # may be listed twice
    for sentence in sentences:
        if isinstance(caption := sentence["raw"], str):
            captions.append(caption)
        else:
            yield f"raw: {str(caption)[:50]}; expected a text"


def _splits(records: list[Any], wanted: set[str]) -> dict[str, str]:
    """File name -> split, of the records in some splits; what is damaged is listed elsewhere."""
    whole = (record for record in records if isinstance(record, dict) and isinstance(record.get("split"), str))
    return {str(record.get("filename")): record["split"] for record in whole if record["split"] in wanted}


def _names(record: dict[str, Any]) -> list[str]:
    """Where a photo may lie below the folder, the file's own way first."""
    names = [f"{record['filepath']}/{record['filename']}"] if record.get("filepath") else []
    names.append(str(record["filename"]))
    if "cocoid" in record:
        names += [f"{folder}/{int(record['cocoid']):012d}.jpg" for folder in ("train2017", "val2017")]
    return names
