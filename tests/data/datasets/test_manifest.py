from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from multimodal_attn.data.datasets.manifest import Manifest
from multimodal_attn.types import UnreadableError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos a, b, c (of which c is cut off) below photos/, recordings a (1 s) and b (0.5 s), and one that is none."""
    (tmp_path / "photos").mkdir()
    for name in "abc":
        Image.new("RGB", (30, 20), "blue").save(tmp_path / "photos" / f"{name}.jpg")
    damaged = tmp_path / "photos" / "c.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    for name, seconds in (("a", 1.0), ("b", 0.5)):
        tone = np.sin(np.arange(int(8000 * seconds)) / 10).astype(np.float32)
        soundfile.write(tmp_path / f"{name}.wav", tone, 8000)
    (tmp_path / "none.wav").write_bytes(b"not a recording")
    return tmp_path


@pytest.fixture
def photo_csv(folder: Path) -> Callable[..., Manifest]:
    """Writes lines below the header of a csv and reads them for training."""

    def build(*lines: str, header: str = "image,caption", max_words: int = 200) -> Manifest:
        path = folder / "train.csv"
        path.write_text("\n".join([header, *lines]), encoding="utf-8")
        return Manifest("train", train=path, val=path, image_size=16, max_words=max_words)

    return build


def listed(dataset: Manifest) -> dict[str, str]:
    return {Path(error.path).name: error.reason for error in dataset.skipped}


def test_rows_of_one_photo_are_one_example(photo_csv: Callable[..., Manifest]) -> None:
    dataset = photo_csv("photos/a.jpg,A dog.", 'photos/b.jpg,"A cat, asleep"', "./photos/a.jpg,The Dog!")
    assert dataset.reader.modality == "picture"
    assert len(dataset) == 2
    assert dataset[0].key == "photos/a.jpg"
    assert dataset[0].source.shape == (3, 16, 16)
    assert [target.text for target in dataset[0].targets] == ["a dog", "the dog"]
    assert dataset.texts() == ["a dog", "the dog", "a cat asleep"]
    assert dataset.lengths() == [1.0, 1.0]
    assert dataset.skipped == []


def test_spreadsheet_signature_blank_lines_and_header_in_any_case(folder: Path) -> None:
    path = folder / "train.csv"
    path.write_bytes("Caption , Image,note\r\n\r\nÉin Hünd,photos/a.jpg,x\r\n,,\r\n".encode("utf-8-sig"))
    dataset = Manifest("train", train=path, val=path)
    assert dataset.texts() == ["éin hünd"]
    assert dataset.skipped == []


def test_jsonl_with_lists_of_captions(folder: Path) -> None:
    path = folder / "train.jsonl"
    rows = [
        {"image": "photos/a.jpg", "captions": ["One.", "Two."]},
        {"image": "photos/a.jpg", "caption": "Three."},
        {"image": "photos/b.jpg", "captions": []},
    ]
    path.write_text("\n".join([*map(json.dumps, rows), '{"image": ', "[1]", '{"image": 3, "caption": "x"}']))
    dataset = Manifest("train", train=path, val=path)
    assert dataset.texts() == ["one", "two", "three"]
    assert {name: reason.split(" (")[0] for name, reason in listed(dataset).items()} == {
        "train.jsonl:3": "no caption",
        "train.jsonl:4": "not JSON",
        "train.jsonl:5": "not an object {...}",
        "train.jsonl:6": "no image",
    }


def test_a_source_that_is_too_long_is_listed_once_and_a_single_text_needs_no_list(folder: Path) -> None:
    path = folder / "train.jsonl"
    rows = [
        {"source": "one two three four", "targets": ["a", "b", "c"]},
        {"source": "one", "targets": "single"},
        {"source": "two", "targets": ["a", "", "b c d e"]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    dataset = Manifest("train", train=path, val=path, max_words=3)
    assert dataset.texts() == ["single", "a"]
    assert [(Path(error.path).name, error.reason) for error in dataset.skipped] == [
        ("train.jsonl:1", "a source of 4 words, more than data.max_words=3"),
        ("train.jsonl:3", "empty text"),
        ("train.jsonl:3", "4 words, more than data.max_words=3"),
    ]


def test_recordings(folder: Path) -> None:
    path = folder / "train.csv"
    path.write_text("audio,text\na.wav,Don't stop!\nb.wav,go\nnone.wav,silence\nmissing.wav,gone\n")
    dataset = Manifest("train", train=path, val=path, sample_rate=16_000)
    assert dataset.reader.modality == "recording"
    assert dataset.texts() == ["don't stop", "go"]
    assert dataset.lengths() == [1.0, 0.5]
    assert dataset[1].source.shape == (8000,)
    assert dataset[1].source.dtype == torch.float32
    assert set(listed(dataset)) == {"none.wav", "missing.wav"}


def test_texts_can_stay_as_they_are(folder: Path) -> None:
    path = folder / "train.csv"
    path.write_text("image,caption\nphotos/a.jpg,  A  Dog. \n")
    assert Manifest("train", train=path, val=path, normalize="none").texts() == ["A Dog."]


def test_unusable_rows_are_skipped_and_listed(photo_csv: Callable[..., Manifest]) -> None:
    dataset = photo_csv(
        "photos/a.jpg,fine",
        "photos/b.jpg,...",
        "photos/nowhere.jpg,gone",
        "photos/a.jpg,a dog, asleep",
        ",no picture",
        'photos/a.jpg,"closed" too early',
        "photos/a.jpg,one two three four",
        "photos/b.jpg,also fine",
        max_words=3,
    )
    assert dataset.texts() == ["fine", "also fine"]
    reasons = listed(dataset)
    assert reasons.pop("nowhere.jpg").startswith("no such file (from ")
    assert reasons.pop("train.csv:7").startswith("',' expected after")
    assert reasons == {
        "train.csv:3": "empty text",
        "train.csv:5": "3 fields, expected 2; a text that has commas needs quotation marks",
        "train.csv:6": "no image",
        "train.csv:8": "4 words, more than data.max_words=3",
    }


def test_damaged_photo_is_reported_when_read(photo_csv: Callable[..., Manifest]) -> None:
    with pytest.raises(UnreadableError, match=r"c\.jpg"):
        photo_csv("photos/c.jpg,cut off")[0]


def test_text_over_several_lines_is_one_row(photo_csv: Callable[..., Manifest]) -> None:
    dataset = photo_csv('photos/a.jpg,"a dog\nasleep"', "photos/b.jpg,a cat", "photos/nowhere.jpg,x")
    assert dataset.texts() == ["a dog asleep", "a cat"]
    assert "train.csv:5" in dataset.skipped[0].reason


def test_root_and_whole_paths(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("lists")
    path = elsewhere / "train.csv"
    whole = folder / "photos/b.jpg"
    path.write_text(f"image,caption\na.jpg,x\n{whole},y\n")
    dataset = Manifest("train", train=path, val=path, root=folder / "photos")
    assert [dataset.entries[index].key for index in range(2)] == ["a.jpg", "b.jpg"]
    dataset = Manifest("train", train=path, val=path)
    assert [dataset.entries[index].key for index in range(len(dataset))] == [str(whole)]
    assert "a.jpg" in listed(dataset)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """60 photos with two captions each, two rows that are damaged."""
    Image.new("RGB", (4, 4)).save(tmp_path / "0.png")
    for index in range(1, 60):
        (tmp_path / f"{index}.png").hardlink_to(tmp_path / "0.png")
    rows = [f"{index}.png,number {index} {which}" for which in "ab" for index in range(60)]
    path = tmp_path / "train.csv"
    path.write_text("\n".join(["image,caption", *rows, "a,b,c", "59.png,..."]))
    return path


def keys(dataset: Manifest) -> set[str]:
    return {dataset.entries[index].key for index in range(len(dataset))}


def test_holds_out_a_twentieth_by_source(many: Path) -> None:
    train, val = Manifest("train", train=many), Manifest("val", train=many)
    assert len(val) == 3
    assert len(train) == 57
    assert not keys(train) & keys(val)
    assert len(val.texts()) == 6
    assert keys(Manifest("val", train=many)) == keys(val)
    assert keys(Manifest("val", train=many, seed=1)) != keys(val)
    places = [error.path for error in train.skipped + val.skipped]
    assert sorted(Path(place).name for place in places) == ["train.csv:122", "train.csv:123"]  # each once


def test_a_file_for_validation_leaves_training_whole(many: Path) -> None:
    assert len(Manifest("train", train=many, val=many)) == 60


def test_added_rows_do_not_move_sources_to_the_other_part(many: Path) -> None:
    before = keys(Manifest("val", train=many))
    lines = many.read_text().splitlines()
    many.write_text("\n".join(line for line in lines if not line.startswith("7.")))
    assert keys(Manifest("val", train=many)) == before - {"7.png"}


def test_survives_the_way_to_a_worker(photo_csv: Callable[..., Manifest]) -> None:
    dataset = photo_csv("photos/a.jpg,A dog.")
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[0].source, dataset[0].source)


def test_fingerprint_follows_file_and_size(folder: Path) -> None:
    path = folder / "train.csv"
    path.write_text("image,caption\nphotos/a.jpg,x\n")
    small, large = (Manifest("train", train=path, val=path, image_size=size) for size in (16, 32))
    before = small.fingerprint(0)
    assert large.fingerprint(0) != before
    Image.new("RGB", (31, 20), "red").save(folder / "photos/a.jpg")
    assert small.fingerprint(0) != before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "picture,caption\nx,y\n", r"data\.train: .*a\.csv' has the columns picture,caption; expected ima"),
        ("a.csv", "image,text\nx,y\n", r"has the columns image,text; expected image,caption$"),
        ("a.csv", "image,captions\nx,y\n", r"has the columns image,captions; expected image,caption$"),
        ("a.csv", "audio,text,start\nx,y,1\n", r"parts of recordings are not supported"),
        (
            "a.csv",
            "image,audio,text,caption\n",
            r"data\.modality: missing; .*; expected data\.modality=picture or data\.",
        ),
        ("a.csv", "image,caption,caption\n", r"a column occurs twice in image,caption,caption"),
        ("a.csv", "", r"has the columns \(none\); expected image,caption or audio,text or source,target"),
        ("a.csv", "image,caption\n", r"no usable row for split 'train'"),
        ("a.csv", "image,caption\nx.jpg,y\n", r"no usable row for split 'train'\n.*x\.jpg: no such file"),
        ("a.csv", 'image,caption\nphotos/a.jpg,"y\nphotos/b.jpg,z\n', r"a quotation mark in line 2 is never closed"),
        ("a.jsonl", "not json\n", r"has the columns \(none\)"),
        ("a.txt", "image,caption\n", r"ends in '\.txt'; expected \.csv or \.tsv or \.jsonl or \.json"),
        ("a.csv", "\udcff\n", r"is not UTF-8"),
    ],
)
def test_unusable_file_is_named(folder: Path, name: str, content: str, message: str) -> None:
    path = folder / name
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=message):
        Manifest("train", train=path, val=path)


def test_arguments_are_checked(folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text("image,caption\nphotos/a.jpg,x\n")
    with pytest.raises(ValueError, match=r"data\.train: missing; expected a csv, jsonl or json"):
        Manifest("val")
    with pytest.raises(ValueError, match=r"data\.test: missing"):
        Manifest("test", train=path)
    with pytest.raises(ValueError, match=r"data\.train: .*no\.csv' cannot be read \(No such file"):
        Manifest("train", train=folder / "no.csv")
    with pytest.raises(ValueError, match=r"data\.root: there is no folder"):
        Manifest("train", train=path, root=folder / "no")
    with pytest.raises(ValueError, match=r"data\.val: missing, and data\.train has too few sources"):
        Manifest("train", train=path)
    with pytest.raises(ValueError, match=r"data\.modality: missing; expected picture, recording, text, as data\.col"):
        Manifest("train", train=path, columns=("image", "caption"))
