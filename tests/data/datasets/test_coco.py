from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from multimodal_attn.data.datasets.coco import Coco


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos 1 and 2 of train, 3 of val; photo 4 has no file, photo 5 no caption, photo 9 is not listed."""
    captions = {1: ["A dog.", "Two dogs!"], 2: ["A cat"], 3: ["A fish"], 4: ["gone"], 9: ["stray"]}
    for split, numbers in {"train": (1, 2, 4, 5), "val": (3,)}.items():
        (tmp_path / f"{split}2017").mkdir()
        for number in set(numbers) - {4}:
            Image.new("RGB", (10, 6), (50 * number, 0, 0)).save(tmp_path / f"{split}2017" / f"{number:012d}.jpg")
        content = {
            "info": {},
            "images": [{"id": number, "file_name": f"{number:012d}.jpg", "height": 6} for number in numbers],
            "annotations": [
                {"image_id": number, "id": 10 * number, "caption": text}
                for number, texts in captions.items()
                if number in numbers or (number == 9 and split == "train")
                for text in texts
            ],
        }
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "annotations" / f"captions_{split}2017.json").write_text(json.dumps(content))
    return tmp_path


def test_one_example_a_photo_with_all_its_captions(root: Path) -> None:
    train, val = Coco("train", root, image_size=8), Coco("val", root, image_size=8)
    assert [train.entries[index].key for index in range(len(train))] == ["000000000001.jpg", "000000000002.jpg"]
    assert [target.text for target in train[0].targets] == ["a dog", "two dogs"]
    assert train[1].source.shape == (3, 8, 8)
    assert int(train[1].source[0, 4, 4]) == pytest.approx(100, abs=3)
    assert val.texts() == ["a fish"]


def test_lists_what_is_left_out(root: Path) -> None:
    listed = {Path(error.path).name: error.reason for error in Coco("train", root).skipped}
    assert listed == {
        "captions_train2017.json: annotation 4": "caption of an image 9 that is not listed",
        "000000000004.jpg": "no such file",
        "000000000005.jpg": "no caption",
    }


def test_year_of_the_split(root: Path) -> None:
    for folder in ("train2017", "annotations/captions_train2017.json"):
        (root / folder).rename(root / folder.replace("2017", "2014"))
    assert len(Coco("train", root, year=2014)) == 2


@pytest.mark.parametrize(
    ("split", "year", "missing", "message"),
    [
        ("test", 2017, None, r"split: test; COCO gives captions for train and val"),
        (
            "val",
            2014,
            None,
            r"data\.root: .*captions_val2014\.json' cannot be read .*annotations/captions_val2014",
        ),
        ("val", 2017, "val2017/000000000003.jpg", r"expected the layout .*val2017' has none of the split's 1 photos"),
    ],
)
def test_what_is_missing_is_named(root: Path, split: str, year: int, missing: str | None, message: str) -> None:
    if missing:
        (root / missing).unlink()
    with pytest.raises(ValueError, match=message):
        Coco(split, root, year)


def test_other_annotations_of_coco_are_refused(root: Path) -> None:
    content = {"images": [{"id": 3, "file_name": "3.jpg"}], "annotations": [{"image_id": 3, "bbox": [0, 0, 1, 1]}]}
    (root / "annotations/captions_val2017.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"does not hold COCO's captions \(KeyError: 'caption'\)"):
        Coco("val", root)
