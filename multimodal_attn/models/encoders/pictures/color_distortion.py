"""Other light and other colors for the pictures that a pretrained network sees."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import ColorJitter

from multimodal_attn.models.encoders.source_distortion import SourceDistortion
from multimodal_attn.ranges import Share


class ColorDistortion(SourceDistortion):
    """Draws brightness, contrast, saturation and hue of each picture anew; everything stays where it is, boxes as well.

    Args:
        brightness, contrast, saturation: at most so much of the picture's own, up or down.
        hue: at most so much of the circle of colors, either way; up to a half.
    """

    def __init__(
        self, brightness: Share = 0.2, contrast: Share = 0.2, saturation: Share = 0.2, hue: Share = 0.02
    ) -> None:
        super().__init__()
        if hue > 0.5:
            raise ValueError(f"encoder.distortion.hue: {hue:g}; expected 0 to 0.5")
        self._settings = [brightness, contrast, saturation, hue]
        self.jitter = ColorJitter(brightness, contrast, saturation, hue)

    @property
    def fingerprint(self) -> str:
        """See ``SourceDistortion``."""
        return f"colors {self._settings}"

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """Distorts each of the pictures, (B, 3, height, width) uint8, by itself."""
        return torch.stack([self.one(picture) for picture in pictures])

    def one(self, source: Tensor) -> Tensor:
        """See ``SourceDistortion``."""
        changed: Tensor = self.jitter(source)
        return changed
