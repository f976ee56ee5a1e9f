from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

from multimodal_attn.data.datasets.flickr8k import Flickr8k
from multimodal_attn.types import Box, UnreadableError

SENTENCES = """\
[/EN#1/people A man 's] [/EN#2/animals two dogs] run on [/EN#3/scene the beach] .
[/EN#2/animals Two dogs] wear [/EN#4/clothing/other a striped T-shirt] , near [/EN#0/notvisual it] .
"""
ANNOTATION = """\
<annotation><filename>11.jpg</filename><size><width>400</width><height>200</height><depth>3</depth></size>
<object><name>1</name><name>4</name>
  <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>400</xmax><ymax>200</ymax></bndbox></object>
<object><name>2</name><bndbox><xmin>101</xmin><ymin>51</ymin><xmax>200</xmax><ymax>100</ymax></bndbox></object>
<object><name>2</name><bndbox><xmin>201</xmin><ymin>101</ymin><xmax>300</xmax><ymax>150</ymax></bndbox></object>
<object><name>3</name><scene>1</scene><nobndbox>1</nobndbox></object>
</annotation>
"""
DOGS = (Box(0.25, 0.25, 0.5, 0.5), Box(0.5, 0.5, 0.75, 0.75))
EVERYTHING = (Box(0, 0, 1, 1),)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos 11 and 33, one that is cut off, one in CMYK; photo 44 is listed, but has no file, photo 55 no caption."""
    pictures, texts = tmp_path / "Flicker8k_Dataset", tmp_path / "Flickr8k_text"
    pictures.mkdir()
    texts.mkdir()
    for name in ("11_a", "33_c", "55_e"):
        Image.new("RGB", (40, 20), "red").save(pictures / f"{name}.jpg")
    Image.new("CMYK", (40, 20), (0, 255, 255, 0)).save(pictures / "22_b.jpg")
    (pictures / "66_f.jpg").write_bytes((pictures / "11_a.jpg").read_bytes()[:200])
    captions = {
        "11_a.jpg": ["A man 's two dogs run on the beach .", "two dogs wear a striped t-shirt near it", "Dogs !", "?!"],
        **{name: ["A wall ."] * 5 for name in ("22_b.jpg", "33_c.jpg", "44_d.jpg", "66_f.jpg")},
    }
    lines = [f"{name}#{i}\t{text}\n" for name, given in captions.items() for i, text in enumerate(given)]
    (texts / "Flickr8k.token.txt").write_text("".join(lines) + "55_e.jpg#0\t\n", encoding="utf-8-sig")
    names = ["11_a", "22_b", "44_d", "55_e", "66_f"]
    (texts / "Flickr_8k.trainImages.txt").write_text("".join(f"{name}.jpg \r\n" for name in names))
    (texts / "Flickr_8k.devImages.txt").write_text("33_c.jpg\n")
    return tmp_path


@pytest.fixture
def grounded_root(root: Path) -> Path:
    for name, text in (("Sentences/11.txt", SENTENCES), ("Annotations/11.xml", ANNOTATION)):
        path = root / "flickr30k_entities" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return root


def test_reads_photos_with_all_their_captions(root: Path) -> None:
    dataset = Flickr8k("train", root, image_size=32)
    example = dataset[0]
    assert example.key == "11_a.jpg"
    assert example.source.shape == (3, 32, 32)
    assert example.source.dtype == torch.uint8
    assert [target.text for target in example.targets] == [
        "a man s two dogs run on the beach",
        "two dogs wear a striped t shirt near it",
        "dogs",
    ]
    assert len(dataset[1].targets) == 5
    assert len(dataset.texts()) == 3 + 5 + 5
    assert dataset.lengths() == [1.0] * len(dataset) == [1.0] * 3
    assert [example.key for example in [Flickr8k("val", root)[0]]] == ["33_c.jpg"]


def test_cmyk_photo_keeps_its_colour(root: Path) -> None:
    red, green, blue = Flickr8k("train", root, image_size=16)[1].source.float().mean(dim=(1, 2))
    assert red > 180
    assert max(green, blue) < 80


def test_lists_what_is_left_out(root: Path) -> None:
    dataset = Flickr8k("train", root)
    listed = {Path(error.path).name: error.reason for error in dataset.skipped}
    assert listed["44_d.jpg"] == "no such file"
    assert "no caption" in listed["55_e.jpg"]
    assert "no caption" in listed["Flickr8k.token.txt:25"]
    assert ("11_a.jpg", "caption without words: '?!'") in [(Path(e.path).name, e.reason) for e in dataset.skipped]
    with pytest.raises(UnreadableError, match=r"66_f\.jpg"):
        dataset[2]


def test_head_nouns_carry_boxes(grounded_root: Path) -> None:
    dataset = Flickr8k("train", grounded_root)
    possessive, compound, unmatched = dataset.entries[0].targets
    words = possessive.text.split()
    assert {words[index]: boxes for index, boxes in possessive.boxes.items()} == {"man": EVERYTHING, "dogs": DOGS}
    words = compound.text.split()
    assert {words[index]: boxes for index, boxes in compound.boxes.items()} == {"dogs": DOGS, "shirt": EVERYTHING}
    assert unmatched.boxes == {}
    assert dataset.num_ungrounded == 11


def test_boxes_move_with_the_crop(grounded_root: Path) -> None:
    """The photo is 40 x 20: cropped, what lay at a quarter and three quarters of its width are its borders."""
    dataset = Flickr8k("train", grounded_root, image_size=20, fit="crop")
    possessive, _, _ = dataset.entries[0].targets
    words = possessive.text.split()
    moved = {words[index]: boxes for index, boxes in possessive.boxes.items()}
    assert moved == {"man": EVERYTHING, "dogs": (Box(0, 0.25, 0.5, 0.5), Box(0.5, 0.5, 1, 0.75))}
    assert dataset.fingerprint(0) != Flickr8k("train", grounded_root, image_size=20).fingerprint(0)


def test_word_whose_boxes_are_cropped_away_has_none(grounded_root: Path) -> None:
    Image.new("RGB", (120, 20), "red").save(grounded_root / "Flicker8k_Dataset/11_a.jpg")
    # The crop shows the third in the middle; the dogs are moved into the outer quarters.
    edge = ANNOTATION.replace("<xmin>101<", "<xmin>1<").replace("<xmax>200<", "<xmax>100<")
    edge = edge.replace("<xmin>201<", "<xmin>301<").replace("<xmax>300<", "<xmax>400<")
    (grounded_root / "flickr30k_entities/Annotations/11.xml").write_text(edge)
    target = Flickr8k("train", grounded_root, fit="crop").entries[0].targets[0]
    assert {target.text.split()[index] for index in target.boxes} == {"man"}


def test_damaged_annotation_costs_the_boxes_only(grounded_root: Path) -> None:
    (grounded_root / "flickr30k_entities/Annotations/11.xml").write_text(ANNOTATION[:200])
    dataset = Flickr8k("train", grounded_root)
    assert len(dataset.entries[0].targets) == 3
    assert all(not target.boxes for target in dataset.entries[0].targets)
    assert any("without boxes" in error.reason and "11.xml" in error.reason for error in dataset.skipped)


def test_fingerprint_follows_file_and_size(root: Path) -> None:
    before = Flickr8k("val", root).fingerprint(0)
    assert Flickr8k("val", root).fingerprint(0) == before
    assert Flickr8k("val", root, image_size=96).fingerprint(0) != before
    Image.new("RGB", (41, 20), "red").save(root / "Flicker8k_Dataset/33_c.jpg")
    assert Flickr8k("val", root).fingerprint(0) != before


def test_survives_the_way_to_a_worker(grounded_root: Path) -> None:
    dataset = Flickr8k("train", grounded_root)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.entries[0].targets == dataset.entries[0].targets
    assert torch.equal(copy[0].source, dataset[0].source)


@pytest.mark.parametrize(
    ("split", "missing", "message"),
    [
        ("test", None, r"data\.root: .* has no Flickr8k_text/Flickr_8k\.testImages\.txt; expected the layout"),
        ("train", "Flickr8k_text/Flickr8k.token.txt", r"data\.root: .* has no Flickr8k_text/Flickr8k\.token\.txt"),
        ("val", "Flicker8k_Dataset/33_c.jpg", r"data\.root: .*Flicker8k_Dataset' has none of the split's 1 photos"),
        ("train", "flickr30k_entities/Sentences/11.txt", r"flickr30k_entities' has no folder Sentences"),
    ],
)
def test_incomplete_layout_is_named(grounded_root: Path, split: str, missing: str | None, message: str) -> None:
    if missing:
        (grounded_root / missing).unlink()
        if "Sentences" in missing:
            (grounded_root / missing).parent.rmdir()
    with pytest.raises(ValueError, match=message):
        Flickr8k(split, grounded_root)


def test_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.root: .*nowhere' has no .*expected the layout Flicker8k_Dataset"):
        Flickr8k("train", tmp_path / "nowhere")
