from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from multimodal_attn.data.datasets.karpathy import Karpathy
from multimodal_attn.types import Box

PHOTOS = {  # name below the folder -> (filepath, filename, cocoid, split, captions)
    "train2014/COCO_train2014_000000000001.jpg": ("train2014", "COCO_train2014_000000000001.jpg", 1, "train", "a dog"),
    "val2014/COCO_val2014_000000000002.jpg": ("val2014", "COCO_val2014_000000000002.jpg", 2, "restval", "a cat"),
    "train2017/000000000003.jpg": ("train2014", "COCO_train2014_000000000003.jpg", 3, "train", "a bird"),
    "COCO_val2014_000000000004.jpg": ("val2014", "COCO_val2014_000000000004.jpg", 4, "val", "a fish"),
    "val2014/COCO_val2014_000000000005.jpg": ("val2014", "COCO_val2014_000000000005.jpg", 5, "test", "a horse"),
}


def record(filename: str, split: str, captions: list[str], **further: object) -> dict[str, object]:
    return {"filename": filename, "split": split, "sentences": [{"raw": text} for text in captions], **further}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A miniature of COCO, its photos in a mixture of layouts; photo 6 has no file."""
    records = []
    for index, (name, (filepath, filename, cocoid, split, text)) in enumerate(PHOTOS.items()):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 8), (40 * index, 0, 0)).save(tmp_path / "images" / name)
        records.append(record(filename, split, [f"A {text}!", f"{text} ."], filepath=filepath, cocoid=cocoid))
    records.append(record("COCO_val2014_000000000006.jpg", "restval", ["nobody"], filepath="val2014", cocoid=6))
    records.append({"filename": "7.jpg", "split": "train"})
    (tmp_path / "dataset_coco.json").write_text(json.dumps({"images": records, "dataset": "coco"}))
    return tmp_path


def read(root: Path, split: str, **settings: object) -> Karpathy:
    return Karpathy(split, root / "dataset_coco.json", root / "images", image_size=8, **settings)


def test_each_split_has_its_photos_wherever_they_lie(coco: Path) -> None:
    found = {split: [entry.key for entry in read(coco, split).entries] for split in ("val", "test")}
    names = list(PHOTOS)
    assert found == {"val": [names[3]], "test": [names[4]]}
    train = read(coco, "train")
    assert [train.entries[index].key for index in range(len(train))] == names[:3]
    assert [int(train[index].source[0, 0, 0]) for index in range(3)] == pytest.approx([0, 40, 80], abs=3)
    assert [target.text for target in train[0].targets] == ["a a dog", "a dog"]
    assert train[0].source.shape == (3, 8, 8)


def test_restval_trains_by_choice(coco: Path) -> None:
    assert {text[-3:] for text in read(coco, "train").texts()} == {"dog", "cat", "ird"}
    assert {text[-3:] for text in read(coco, "train", restval=False).texts()} == {"dog", "ird"}
    assert {text[-4:] for text in read(coco, "val").texts()} == {"fish"}


def test_lists_what_is_left_out(coco: Path) -> None:
    listed = [str(error) for error in read(coco, "train").skipped]
    assert len(listed) == 2
    assert "image 6: KeyError: 'sentences'; expected split, filename and sentences with raw" in listed[0]
    assert listed[1].endswith("val2014/COCO_val2014_000000000006.jpg: no such file")


def test_a_photo_of_two_splits_does_not_train(coco: Path) -> None:
    path = coco / "dataset_coco.json"
    content = json.loads(path.read_text())
    (tested,) = [found for found in content["images"] if found["split"] == "test"]
    content["images"].insert(0, {**tested, "split": "train"})
    path.write_text(json.dumps(content))
    train = read(coco, "train")
    assert len(train) == 3
    assert f"image 0: {tested['filename']} is in the test split too, and kept out of train" in str(train.skipped[0])
    assert len(read(coco, "test")) == 1


def test_flickr_photos_lie_in_one_folder_and_may_have_boxes(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "1000_ab.jpg")
    content = {"images": [record("1000_ab.jpg", "train", ["Two dogs run."], imgid=0)], "dataset": "flickr8k"}
    (tmp_path / "dataset_flickr8k.json").write_text(json.dumps(content))
    for name, text in {
        "Sentences/1000.txt": "[/EN#5/animals Two dogs] run .",
        "Annotations/1000.xml": "<a><size><width>10</width><height>10</height></size><object><name>5</name><bndbox>"
        "<xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>10</ymax></bndbox></object></a>",
    }.items():
        (tmp_path / "entities" / name).parent.mkdir(parents=True)
        (tmp_path / "entities" / name).write_text(text)
    path = tmp_path / "dataset_flickr8k.json"
    dataset = Karpathy("train", path, tmp_path, entities=tmp_path / "entities")
    assert dataset.entries[0].targets[0].boxes == {1: (Box(0, 0, 0.5, 1),)}
    assert dataset.num_ungrounded == 0
    assert Karpathy("train", path, tmp_path).entries[0].targets[0].boxes == {}
    with pytest.raises(ValueError, match=r"data\.entities: .* has no folder Sentences"):
        Karpathy("train", path, tmp_path, entities=tmp_path)


@pytest.mark.parametrize(
    ("split", "content", "images", "message"),
    [
        ("train", None, ".", r"data\.captions: .*dataset_coco\.json' cannot be read .*; expected dataset_coco\.json"),
        ("train", "[1", ".", r"data\.captions: .*dataset_coco\.json' is not json"),
        ("train", "[]", ".", r"data\.captions: .* has no list of images; expected dataset_coco\.json"),
        ("train", '{"images": []}', "nowhere", r"data\.images: there is no folder .*nowhere'; expected the photos of"),
        ("train", '{"images": []}', ".", r"data\.images: expected the photos of .*has none of the split's 0 photos"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, split: str, content: str | None, images: str, message: str) -> None:
    path = tmp_path / "dataset_coco.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message):
        Karpathy(split, path, tmp_path / images)
