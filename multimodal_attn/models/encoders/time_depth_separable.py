"""Time-depth separable convolutions for speech (Hannun et al. 2019, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.encoders.log_mel import LogMel
from multimodal_attn.types import Memory, Timeline


class TimeDepthSeparable(Encoder):
    """Groups of blocks that convolve each mel bin over time, then mix all bins and channels of a step.

    A step hears only the frames within reach of the kernels, so that attention and CTC cannot place a word far from
    where it is said; the states of a recurrent encoder can tell of anything that they have passed.

    The paper normalises over time as well; here each step is normalised by itself, so that what an utterance gives does
    not depend on its length or on its batch.

    Args:
        front_end: makes the log-mel frames.
        channels: of each group; a step of a group has ``channels * num_mels`` numbers.
        num_blocks: of each group.
        strides: how many steps each group makes one, from the bottom; ``[2, 2, 1]`` makes a step of 4 frames.
        kernel_size: steps that a convolution sees; odd.
        dim: width D of the memory.
        dropout: on what each part of a block adds, and on the memory.

    Raises:
        ValueError: if the groups' settings differ in number, or for an even kernel.
    """

    def __init__(
        self,
        front_end: Callable[[], LogMel] | LogMel,
        channels: Sequence[int] = (10, 14, 18),
        num_blocks: Sequence[int] = (2, 3, 3),
        strides: Sequence[int] = (2, 2, 1),
        kernel_size: int = 9,
        dim: int = 256,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not len(channels) == len(num_blocks) == len(strides):
            raise ValueError(
                f"encoder: channels {list(channels)}, num_blocks {list(num_blocks)} and strides {list(strides)};"
                " expected one number for each group in all three"
            )
        if kernel_size % 2 == 0:
            raise ValueError(f"encoder.kernel_size: {kernel_size}; expected an odd number")
        self.front_end = front_end if isinstance(front_end, LogMel) else front_end()
        num_mels = self.front_end.num_mels
        self.groups = nn.ModuleList(
            _Group(before, width, num_mels, number, stride, kernel_size, dropout)
            for before, width, number, stride in zip([1, *channels], channels, num_blocks, strides, strict=False)
        )
        self.output = nn.Linear(channels[-1] * num_mels, dim)
        self.dropout = nn.Dropout(dropout)
        self.dim = dim
        step = 1
        for stride in strides:
            step *= stride
        self.layout = Timeline(step * self.front_end.hop_seconds)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Shapes:
        waveforms: (B, L). lengths: (B,) samples. Returns states (B, S, dim).
        """
        frames, steps = self.front_end(waveforms, lengths)
        x = frames[..., None]  # (B, T, F, C): the bins and channels of a step lie together
        for group in self.groups:
            x, steps = group(x, steps)
        mask = length_mask(steps, x.shape[1])
        return Memory(self.dropout(self.output(x.flatten(2))) * mask[..., None], mask, self.layout)


class _Group(nn.Module):
    """A convolution that makes ``stride`` steps one and widens the channels, then blocks."""

    def __init__(
        self,
        channels_before: int,
        channels: int,
        num_mels: int,
        num_blocks: int,
        stride: int,
        kernel_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        # As many frames on either side of those that become one step.
        self.shorten = nn.Conv2d(channels_before, channels, (kernel_size - 1 + stride, 1), (stride, 1))
        self.norm = nn.LayerNorm(channels * num_mels)
        self.blocks = nn.ModuleList(_Block(channels, num_mels, kernel_size, dropout) for _ in range(num_blocks))
        self.stride, self.reach = stride, kernel_size // 2

    def forward(self, x: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes:
        x: (B, T, F, C), zero beyond the end. steps: (B,). Returns (B, T', F, C'), zero beyond the end, and (B,).
        """
        x = functional.pad(x, (0, 0, 0, 0, self.reach, self.reach + -x.shape[1] % self.stride))
        x = torch.relu(_over_time(self.shorten, x))
        steps = torch.div(steps + self.stride - 1, self.stride, rounding_mode="floor")
        # Every convolution reaches over the end, so that what lies beyond must be zero before each.
        mask = length_mask(steps, x.shape[1])
        x = (self.norm(x.flatten(2)) * mask[..., None]).view_as(x)
        for block in self.blocks:
            x = block(x, mask)
        return x, steps


class _Block(nn.Module):
    """A convolution over time and a perceptron over the step, each added to what it reads (figure 1)."""

    def __init__(self, channels: int, num_mels: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        width = channels * num_mels
        self.convolution = nn.Conv2d(channels, channels, (kernel_size, 1), padding=(kernel_size // 2, 0))
        self.perceptron = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Shapes:
        x: (B, T, F, C), zero beyond the end. mask: (B, T). Returns (B, T, F, C), zero beyond the end.
        """
        heard = self.dropout(torch.relu(_over_time(self.convolution, x)))
        steps = self.norms[0]((x + heard).flatten(2))
        steps = self.norms[1](steps + self.dropout(self.perceptron(steps)))
        return (steps * mask[..., None]).view_as(x)


def _over_time(convolution: nn.Module, x: Tensor) -> Tensor:
    """The convolution of each bin.

    Shapes:
        x: (B, T, F, C). Returns (B, T', F, C').
    """
    # Seen as (B, C, T, F) this is torch's channels_last: nothing is copied on the way there and back.
    return convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
