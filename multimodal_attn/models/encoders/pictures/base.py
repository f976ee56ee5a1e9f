"""What every picture encoder shares: normalizing, the two halves that let a frozen one be cached, the grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from multimodal_attn.models.encoders.base import Encoder, body_fingerprint
from multimodal_attn.models.encoders.fine_tuning import freeze
from multimodal_attn.models.encoders.layer_mix import LayerMix
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.types import Grid, Memory

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PictureEncoder(Encoder):
    """A convolutional body and the memory made from its last feature map.

    ``extract`` is the body, ``assemble`` what always trains: a projection with layer norm, and an embedding for each
    row and column of the grid, which a convolution knows only from the padding at the borders. A frozen body stays in
    evaluation mode without gradients, whatever the model is set to, and its output may come from a cache.

    Args:
        body: (B, 3, height, width) normalized pictures to (B, channels, rows, columns). A cache of features knows it by
            its weights and its ``repr``: what neither tells belongs into ``extra_repr``.
        channels: of the body's output.
        image_size: side of the square pictures in pixels.
        dim: width D of the memory; None keeps the channels as they are, without a projection.
        positions: add the row and column embeddings.
        dropout: on the memory.
        mean, std: of each color in [0, 1], as the body expects.
        trainable_from: name of the body's first child (or grandchild, "a.b") that trains; None freezes the body,
            "all" trains all of it.
        pretrained: the body was trained before, so that fine-tuning it needs a smaller learning rate.
        grid: rows and columns of the body's output; None finds out, once for all bodies of the same structure.
        mixed_layers: the body's channels are those of so many layers, of which a mix is learned; 0 for none.
        lora: the body trains what it was built with as trainable, whatever ``trainable_from`` says.
        distortion: of the pictures in training, and of the versions that a cache keeps; None for none.

    Raises:
        ValueError: if ``trainable_from`` names no part of the body.
    """

    reads = "picture"
    layout: Grid
    body: nn.Module
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        body: nn.Module,
        channels: int,
        image_size: int,
        dim: int | None,
        positions: bool = False,
        dropout: float = 0.0,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        trainable_from: str | None = None,
        pretrained: bool = False,
        grid: tuple[int, int] | None = None,
        mixed_layers: int = 0,
        lora: bool = False,
        distortion: ColorDistortion | None = None,
    ) -> None:
        super().__init__()
        self.distortion: ColorDistortion | None = distortion
        # Channels last makes convolutions faster on CPUs and GPUs alike, and their output the layout of a memory.
        self.body = body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mix = LayerMix(mixed_layers) if mixed_layers else None
        channels //= mixed_layers or 1
        self.dim = dim or channels
        self.image_size = image_size
        self.frozen = trainable_from is None and not lora
        self.pretrained = pretrained
        self._frozen_parts = [] if lora else freeze(body, trainable_from)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.layout = Grid(*(grid or _grid_of(body, image_size)))
        self.project = nn.Sequential(nn.Linear(channels, dim), nn.LayerNorm(dim)) if dim else nn.Identity()
        self.rows = nn.Parameter(0.1 * torch.randn(self.layout.rows, 1, self.dim)) if positions else None
        self.columns = nn.Parameter(0.1 * torch.randn(1, self.layout.columns, self.dim)) if positions else None
        self.dropout = Dropout(dropout)
        self.train()

    def train(self, mode: bool = True) -> PictureEncoder:
        """As in torch, but frozen parts stay in evaluation mode, or their batch norms would drift."""
        super().train(mode)
        for part in [self.body] if self.held else self._frozen_parts:
            part.eval()
        return self

    def cache_fingerprint(self) -> str | None:
        """See ``Encoder``: of the body's weights and structure, the size of the pictures and their colors."""
        if not self.frozen:
            return None
        return body_fingerprint(self.body, [self.image_size, self.mean.tolist(), self.std.tolist()])

    def extract(self, pictures: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The body's feature map as memory positions.

        Shapes:
            pictures: (B, 3, height, width) uint8. Returns (B, rows * columns, channels), and (B,) their number.
        """
        if self.training and self.distortion is not None:
            pictures = self.distortion(pictures)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen and not self.held):
            grid = self.body(self.normalize(pictures))
        return grid.flatten(2).transpose(1, 2), torch.full_like(lengths, grid.shape[2] * grid.shape[3])

    def normalize(self, pictures: Tensor) -> Tensor:
        """Pictures as the body expects them.

        Shapes:
            (B, 3, height, width) uint8 to the same in float.
        """
        normalized = (pictures.to(self.mean.dtype) / 255 - self.mean) / self.std
        return normalized.contiguous(memory_format=torch.channels_last)

    def assemble(self, features: Tensor, lengths: Tensor) -> Memory:
        """The memory from (B, S, channels) features, fresh or cached; every picture has S positions."""
        states = self.project(features if self.mix is None else self.mix(features))
        if self.rows is not None and self.columns is not None:
            states = states + (self.rows + self.columns).flatten(0, 1)
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        return Memory(self.dropout(states), mask, self.layout)

    def forward(self, pictures: Tensor, lengths: Tensor) -> Memory:
        """Encodes pictures; ``lengths`` is there because every encoder takes it.

        Shapes:
            pictures: (B, 3, height, width) uint8.
        """
        return self.assemble(*self.extract(pictures, lengths))


_grids: dict[tuple[Any, ...], tuple[int, int]] = {}


def _grid_of(body: nn.Module, image_size: int) -> tuple[int, int]:
    """Rows and columns of a body's output, as a picture of zeros tells them.

    A pass through a large network takes a second, and a configuration is checked before it is built: what has the
    same structure is not asked twice.
    """
    # A module need not say all of itself in its repr: its class (a notebook may define it anew) and settings count too.
    settings = tuple(
        (type(part), repr({name: value for name, value in vars(part).items() if not name.startswith("_")}))
        for part in body.modules()
    )
    shapes = tuple(weight.shape for weight in body.state_dict().values())
    key = repr(body), settings, shapes, image_size
    if key not in _grids:
        with torch.no_grad():
            rows, columns = body.eval()(torch.zeros(1, 3, image_size, image_size)).shape[-2:]
        _grids[key] = rows, columns
    return _grids[key]
