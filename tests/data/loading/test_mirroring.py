"""Mirror images of photos: pixels, boxes and words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from multimodal_attn.data.datasets.photos import CaptionedPhotos
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.loading.mirroring import Mirrored, mirrored_target
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.types import Box, Example, Target
from tests.data.listed import Listed


@pytest.fixture
def photos(tmp_path: Path) -> CaptionedPhotos:
    for name, side in (("a.png", 0), ("b.png", 4)):  # white on one side
        picture = Image.new("RGB", (8, 8))
        picture.paste("white", (side, 0, side + 4, 8))
        picture.save(tmp_path / name)
    return CaptionedPhotos(tmp_path, {"a.png": ["A dog on the left"], "b.png": ["a cat"]}, "photos", image_size=8)


def test_each_photo_is_there_twice(photos: CaptionedPhotos) -> None:
    source = Mirrored(photos)
    assert len(source) == len(source.lengths()) == 4
    assert torch.equal(source[0].source, source[3].source)  # each is the other's mirror image
    assert torch.equal(source[2].source, photos[1].source)
    assert [source[index].key for index in range(4)] == ["a.png", "b.png", "a.png (mirrored)", "b.png (mirrored)"]
    assert [source[index].targets[0].text for index in (0, 2, 3)] == [
        "a dog on the left",
        "a dog on the right",
        "a cat",
    ]
    assert len({source.fingerprint(index) for index in range(4)}) == 4
    assert source.texts() == photos.texts()


def test_boxes_are_mirrored() -> None:
    target = mirrored_target(Target("dog right of cat", {0: (Box(0.1, 0.2, 0.5, 0.9),)}))
    assert target.text == "dog left of cat"
    assert target.boxes[0][0] == pytest.approx(Box(0.5, 0.2, 0.9, 0.9))
    assert mirrored_target(target).boxes[0][0] == pytest.approx((0.1, 0.2, 0.5, 0.9))


def test_only_training_is_mirrored(photos: CaptionedPhotos) -> None:
    data = DataModule(lambda split: photos, WordTokenizer(), mirror=True)
    assert (len(data.source("train")), len(data.source("val"))) == (4, 2)


def test_other_data_has_nothing_to_mirror() -> None:
    with pytest.raises(ValueError, match=r"data.mirror: true; expected false, as a recording has no mirror image"):
        Mirrored(Listed([Example("a", torch.zeros(4))]))
