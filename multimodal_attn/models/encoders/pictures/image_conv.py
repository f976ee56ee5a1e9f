"""A small convolutional network for pictures, to be trained from scratch."""

from __future__ import annotations

from torch import nn

from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.ranges import Count, Counts, DropoutRate, ImageSize


class ImageConv(PictureEncoder):
    """3 x 3 convolutions with batch norm and ReLU; every stride halves the picture.

    Args:
        image_size: side of the square pictures in pixels.
        channels: of each layer.
        strides: of each layer, as many as channels; their product is the side of a memory cell in pixels.
        dim: width D of the memory.
        dropout: on the memory.

    Raises:
        ValueError: if channels and strides differ in number.
    """

    def __init__(
        self, image_size: ImageSize, channels: Counts, strides: Counts, dim: Count = 256, dropout: DropoutRate = 0.0
    ) -> None:
        if len(channels) != len(strides):
            raise ValueError(f"encoder.strides: {len(strides)} numbers for {len(channels)} in encoder.channels")
        layers: list[nn.Module] = []
        for before, width, stride in zip([3, *channels[:-1]], channels, strides, strict=True):
            layers += [nn.Conv2d(before, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        super().__init__(
            nn.Sequential(*layers), channels[-1], image_size, dim, positions=True, dropout=dropout, trainable_from="all"
        )
