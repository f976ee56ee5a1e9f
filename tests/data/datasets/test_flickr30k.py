from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from multimodal_attn.data.datasets.flickr30k import Flickr30k
from multimodal_attn.types import Box

CAPTIONS = {"11": ["Two dogs run .", "dogs , running"], "22": ["A | man"], "33": ["A woman ."]}
ANNOTATION = """<annotation><size><width>10</width><height>10</height></size><object><name>5</name><bndbox>
<xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>10</ymax></bndbox></object></annotation>"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "flickr30k-images").mkdir()
    for number in CAPTIONS:
        Image.new("RGB", (8, 6), (int(number), 0, 0)).save(tmp_path / "flickr30k-images" / f"{number}.jpg")
    rows = [(number, index, text) for number, texts in CAPTIONS.items() for index, text in enumerate(texts)]
    tokens = "".join(f"{number}.jpg#{index}\t{text}\n" for number, index, text in rows)
    (tmp_path / "results_20130124.token").write_text(tokens)
    table = "".join(f"{number}.jpg| {index}| {text}\n" for number, index, text in rows)
    (tmp_path / "results.csv").write_text(f"image_name| comment_number| comment\n{table}33.jpg| 4   No third cell .\n")
    (tmp_path / "flickr30k_entities").mkdir()
    (tmp_path / "flickr30k_entities/train.txt").write_text("11\n22\n44\n")
    (tmp_path / "flickr30k_entities/val.txt").write_text("33\n")
    return tmp_path


@pytest.mark.parametrize("captions", ["results_20130124.token", "results.csv"])
def test_both_files_of_captions_are_read(root: Path, captions: str) -> None:
    for name in {"results_20130124.token", "results.csv"} - {captions}:
        (root / name).unlink()
    train = Flickr30k("train", root, image_size=4)
    assert [train.entries[index].key for index in range(len(train))] == ["11.jpg", "22.jpg"]
    assert train.texts() == ["two dogs run", "dogs running", "a man"]
    assert train[1].source.shape == (3, 4, 4)
    assert Flickr30k("val", root).texts() == ["a woman"]
    listed = {Path(error.path).name: error.reason for error in train.skipped}
    assert listed.pop("44.jpg") == "no such file"
    if captions == "results.csv":
        assert listed.pop("results.csv:6") == "no caption; expected name.jpg| 0| caption"
    assert not listed


def test_other_name_of_the_folder_and_split_beside_it(root: Path) -> None:
    (root / "flickr30k-images").rename(root / "flickr30k_images")
    (root / "val.txt").write_text("11.jpg\n")
    assert Flickr30k("val", root).entries[0].key == "11.jpg"


def test_captions_carry_the_boxes_of_entities(root: Path) -> None:
    for name, text in {"Sentences/11.txt": "[/EN#5/animals Two dogs] run .", "Annotations/11.xml": ANNOTATION}.items():
        (root / "flickr30k_entities" / name).parent.mkdir()
        (root / "flickr30k_entities" / name).write_text(text)
    dataset = Flickr30k("train", root)
    assert dataset.entries[0].targets[0].boxes == {1: (Box(0, 0, 0.5, 1),)}
    assert dataset.num_ungrounded == 2


@pytest.mark.parametrize(
    ("split", "missing", "message"),
    [
        ("test", [], r"data\.root: .* has no test\.txt or flickr30k_entities/test\.txt; expected the layout"),
        (
            "train",
            ["results.csv", "results_20130124.token"],
            r"has no results_20130124\.token or results\.csv;",
        ),
        (
            "val",
            ["flickr30k-images/33.jpg"],
            r"data\.root: .*flickr30k-images' has none of the split's 1 photos",
        ),
    ],
)
def test_what_is_missing_is_named(root: Path, split: str, missing: list[str], message: str) -> None:
    for name in missing:
        (root / name).unlink()
    with pytest.raises(ValueError, match=message):
        Flickr30k(split, root)
