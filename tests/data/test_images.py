from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal_attn.data.images import read_image
from multimodal_attn.types import UnreadableError

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
