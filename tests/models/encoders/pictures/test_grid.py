"""The grid of a body, which is found out by a picture of zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.types import Grid


class Noting(nn.Conv2d):
    """A convolution that notes the sizes that it has seen."""

    _seen: list[int]

    def forward(self, pictures: Tensor) -> Tensor:
        self._seen.append(pictures.shape[-1])
        return super().forward(pictures)


class Bare(nn.Module):
    """Says nothing of its kernel and stride."""

    def __init__(self, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 3, kernel_size, kernel_size))
        self.stride = stride

    def forward(self, pictures: Tensor) -> Tensor:
        return functional.conv2d(pictures, self.weight, stride=self.stride)


def test_it_is_found_out_once_for_bodies_of_one_structure() -> None:
    seen: list[int] = []

    def grid(stride: int, image_size: int) -> Grid:
        body = Noting(3, 4, 3, stride)
        body._seen = seen
        return PictureEncoder(body, 4, image_size, 8).layout

    assert [grid(2, 30), grid(2, 30)] == [Grid(14, 14), Grid(14, 14)]
    assert seen == [30]
    assert [grid(2, 32), grid(3, 30)] == [Grid(15, 15), Grid(10, 10)]
    assert seen == [30, 32, 30]


def test_what_tells_no_more_is_told_apart_by_its_weights_and_settings() -> None:
    found = [PictureEncoder(Bare(*given), 4, 30, 8).layout for given in ((3,), (5,), (3, 2))]
    assert found == [Grid(28, 28), Grid(26, 26), Grid(14, 14)]


def test_a_class_that_is_defined_anew_is_asked_anew() -> None:
    class Bare(nn.Conv2d):
        def forward(self, pictures: Tensor) -> Tensor:
            return super().forward(pictures)[..., ::2, ::2]

    first = PictureEncoder(Bare(3, 4, 3), 4, 30, 8).layout

    class Bare(nn.Conv2d):  # type: ignore[no-redef]
        pass

    assert (first, PictureEncoder(Bare(3, 4, 3), 4, 30, 8).layout) == (Grid(14, 14), Grid(28, 28))
