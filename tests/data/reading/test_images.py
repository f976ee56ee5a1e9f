from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal_attn.data.reading.images import box_in_frame, photo_frame, read_image
from multimodal_attn.types import Box, Grid, UnreadableError

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def _pixel(picture: torch.Tensor, row: int = 0, column: int = 0) -> tuple[int, ...]:
    return tuple(picture[:, row, column].tolist())


@pytest.mark.parametrize(
    ("mode", "color", "suffix", "expected"),
    [
        ("RGB", RED, "png", RED),
        ("L", 100, "png", (100, 100, 100)),
        ("1", 1, "png", WHITE),
        ("LA", (0, 0), "png", WHITE),
        ("RGBA", (255, 0, 0, 0), "png", WHITE),
        ("RGBA", (255, 0, 0, 255), "png", RED),
        ("RGBA", (0, 0, 0, 51), "png", (204, 204, 204)),
        ("CMYK", (0, 255, 255, 0), "tif", RED),
        ("CMYK", (0, 0, 0, 255), "jpg", BLACK),
        ("I;16", 100 * 257, "png", (100, 100, 100)),
        ("I", 100 * 257, "tif", (100, 100, 100)),
        ("F", 0.5, "tif", (128, 128, 128)),
    ],
)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, color: object, suffix: str, expected: tuple) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.new(mode, (5, 4), color).save(path)
    picture = read_image(path, None)
    assert picture.dtype == torch.uint8
    assert picture.shape == (3, 4, 5)
    assert _pixel(picture) == pytest.approx(expected, abs=3)


def test_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.save(tmp_path / "palette.png", transparency=1)
    picture = read_image(tmp_path / "palette.png", None)
    assert (_pixel(picture, column=0), _pixel(picture, column=1)) == (RED, WHITE)


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", "jpg"), ("RGB", "tif"), ("RGB", "png"), ("I;16", "png")])
def test_rotation_in_the_header_is_undone(tmp_path: Path, mode: str, suffix: str) -> None:
    values = np.zeros((8, 16), np.uint16 if mode == "I;16" else np.uint8)
    values[:, :8] = 65535 if mode == "I;16" else 255
    image = Image.fromarray(values)
    image = image if mode == "I;16" else image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    path = tmp_path / f"turned.{suffix}"
    image.save(path, exif=exif)
    picture = read_image(path, None)
    assert picture.shape == (3, 16, 8)
    assert _pixel(picture, row=2)[0] > 250
    assert _pixel(picture, row=13)[0] < 5


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_squashes_with_antialias(tmp_path: Path, suffix: str) -> None:
    stripes = np.zeros((90, 240, 3), np.uint8)
    stripes[:, ::2] = 255
    path = tmp_path / f"stripes.{suffix}"
    Image.fromarray(stripes).save(path)
    picture = read_image(path, 24).float()
    assert picture.shape == (3, 24, 24)
    # Without antialiasing the columns would be sampled black or white.
    assert picture[:, :, 2:-2].sub(127).abs().max() < 20


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_boxes_of_the_photo_are_where_the_picture_shows_them(
    tmp_path: Path, suffix: str, turned: bool, fit: str
) -> None:
    upright = np.zeros((160, 320, 3), np.uint8)
    upright[40:80, 140:220] = 255
    thing = Box(140 / 320, 40 / 160, 220 / 320, 80 / 160)
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(np.rot90(upright) if turned else upright).save(path, exif=exif)
    picture = read_image(path, 16, fit).float().mean(0)
    if fit == "pad":  # bars are neither black nor white
        assert picture[:3].sub(127).abs().max() < 1
        assert picture[13:].sub(127).abs().max() < 1
        picture[:4] = picture[12:] = 0
    frame = photo_frame(path, fit)
    box = box_in_frame(thing, frame)
    assert (
        box
        == {
            "squash": thing,
            "crop": Box(0.375, 0.25, 0.875, 0.5),
            "pad": Box(140 / 320, 0.375, 220 / 320, 0.5),
        }[fit]
    )
    # Cells of 2 x 2 pixels: those inside of the box are white, those outside black, but for the antialiasing.
    grid = Grid(8, 8)
    cells = picture.unflatten(0, (8, 2)).unflatten(2, (8, 2)).mean((1, 3)).flatten()
    inside = [
        (left >= box.left) & (top >= box.top) & (right <= box.right) & (bottom <= box.bottom)
        for left, top, right, bottom in map(grid.cell, range(64))
    ]
    outside = [
        (left >= box.right) | (top >= box.bottom) | (right <= box.left) | (bottom <= box.top)
        for left, top, right, bottom in map(grid.cell, range(64))
    ]
    assert sum(inside) >= (1 if fit == "pad" else 2)
    assert cells[torch.tensor(inside)].min() > 200
    assert cells[torch.tensor(outside)].max() < 55


def test_crop_is_the_central_square_without_distortion(tmp_path: Path) -> None:
    for width, height in ((9, 4), (4, 9), (5, 5)):
        values = np.arange(width * height, dtype=np.uint8).reshape(height, width) * 5
        Image.fromarray(values).save(tmp_path / "a.png")
        side = min(width, height)
        top, left = (height - side) // 2, (width - side) // 2
        expected = values[top : top + side, left : left + side]
        assert np.array_equal(read_image(tmp_path / "a.png", side, "crop")[0].numpy(), expected)


def test_box_outside_of_the_frame_is_gone() -> None:
    middle = Box(0.25, 0, 0.75, 1)
    assert box_in_frame(Box(0, 0.5, 0.5, 1), middle) == Box(0, 0.5, 0.5, 1)
    assert box_in_frame(Box(0, 0, 0.25, 1), middle) is None
    assert box_in_frame(Box(0.8, 0, 0.9, 1), middle) is None


def test_unreadable_header_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(UnreadableError, match="not a readable picture"):
        photo_frame(tmp_path / "text.jpg", "crop")


def test_size_none_keeps_every_pixel(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "noise.png")
    assert np.array_equal(read_image(str(tmp_path / "noise.png"), None).permute(1, 2, 0).numpy(), values)


def test_missing_empty_and_corrupt_files_are_unreadable(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for name in ("cut.jpg", "cut.png"):
        noise.save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    bad = "not a readable picture"
    expected = {"missing.png": "no such file", "empty.png": "empty", "text.jpg": bad, "cut.jpg": bad, "cut.png": bad}
    for name, reason in expected.items():
        with pytest.raises(UnreadableError, match=reason) as caught:
            read_image(tmp_path / name, 32)
        assert caught.value.path == str(tmp_path / name)


@pytest.mark.parametrize("limit", [60, 40])  # over the limit, where Pillow warns, and over its double, where it raises
def test_too_many_pixels_are_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    Image.new("RGB", (10, 9)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnreadableError, match="pixels"):
        read_image(tmp_path / "bomb.png", 8)
