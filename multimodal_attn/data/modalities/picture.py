"""Pictures: files of any kind to squares of one size."""

from __future__ import annotations

from typing import BinaryIO

from torch import Tensor

from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.data.reading.images import SUFFIXES, read_image
from multimodal_attn.data.reading.pixels import Fit
from multimodal_attn.ranges import ImageSize


class PictureReader(Reader):
    """Reads pictures, (3, image_size, image_size) uint8.

    Args:
        image_size: side in pixels.
        fit: how a picture becomes square, "squash", "crop" or "pad"; see ``read_image``.
    """

    modality = "picture"
    phrase = "a picture"
    suffixes = SUFFIXES
    columns = ("image", "caption")
    normalization = "caption"
    unit = "pictures"
    at_once = 16

    def __init__(self, image_size: ImageSize = 224, fit: Fit = "squash") -> None:
        self.image_size, self.fit = image_size, fit

    def read(self, place: str | BinaryIO) -> Tensor:
        return read_image(place, self.image_size, self.fit)

    def length(self, place: str) -> float:
        return 1.0

    def fingerprint(self, path: str) -> str:
        return f"{super().fingerprint(path)}:{self.image_size}:{self.fit}"
