"""Time-depth separable convolutions for speech (Hannun et al. 2019, section 2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.base import Reach
from multimodal_attn.models.encoders.speech.base import SpeechEncoder
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import Count, Counts, DropoutRate, LayerCounts, OddCount
from multimodal_attn.types import Memory


class TimeDepthSeparable(SpeechEncoder):
    """Groups of blocks that convolve each mel bin over time, then mix all bins and channels of a step.

    A step hears only the frames within reach of the kernels, so that attention and CTC cannot place a word far from
    where it is said; the states of a recurrent encoder can tell of anything that they have passed.

    Two things differ from the paper. It normalizes over time as well; here each step is normalized by itself, so that
    what an utterance gives does not depend on its length. And the first and last frame go on beyond the ends, in place
    of zeros: CTC soon learns to write the first letter where the zeros are and the last letter where they begin again,
    and then stays there.

    Args:
        front_end: makes the log-mel frames.
        channels: of each group; a step of a group has ``channels * num_mels`` numbers.
        num_blocks: of each group.
        strides: how many steps each group makes one, from the bottom; ``[2, 2, 1]`` makes a step of 4 frames.
        kernel_size: steps that a convolution sees; odd.
        hidden_dim: width D of the memory.
        dropout: on what each part of a block adds, and on the memory.

    Raises:
        ValueError: if the groups' settings differ in number.
    """

    def __init__(
        self,
        front_end: LogMel,
        channels: Counts = (10, 14, 18),
        num_blocks: LayerCounts = (2, 3, 3),
        strides: Counts = (2, 2, 1),
        kernel_size: OddCount = 9,
        hidden_dim: Count = 256,
        dropout: DropoutRate = 0.2,
    ) -> None:
        if not len(channels) == len(num_blocks) == len(strides):
            raise ValueError(
                f"encoder: channels {list(channels)}, num_blocks {list(num_blocks)} and strides {list(strides)};"
                " expected one number for each group in all three"
            )
        super().__init__(front_end, hidden_dim, math.prod(strides))
        num_mels = front_end.num_mels
        layers: list[nn.Module] = []
        self.around, self.frames_per_step = 0, 1  # in frames: what a step hears on either side of its own
        for before, width, number, stride in zip([1, *channels], channels, num_blocks, strides, strict=False):
            layers.append(_Shorten(before, width, num_mels, kernel_size, stride))
            self.around += kernel_size // 2 * self.frames_per_step
            self.frames_per_step *= stride
            layers += [_Block(width, num_mels, kernel_size, dropout) for _ in range(number)]
            self.around += number * (kernel_size // 2) * self.frames_per_step
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(channels[-1] * num_mels, hidden_dim)
        self.dropout = Dropout(dropout)

    @property
    def reach(self) -> Reach | None:
        """See ``Encoder``."""
        return self.frames_reach(self.around, self.around, self.frames_per_step)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Reads waveforms (B, L) of ``lengths`` (B,) samples; states are (B, S, hidden)."""
        frames, num_frames = self.front_end(waveforms, lengths)  # (B, T, F)
        num_steps = (frames.shape[1] + self.frames_per_step - 1) // self.frames_per_step
        times = torch.arange(-self.around, num_steps * self.frames_per_step + self.around, device=frames.device)
        times = torch.minimum(times.clamp(min=0), (num_frames[:, None] - 1).clamp(min=0))
        frames = frames.gather(1, times[..., None].expand(-1, -1, frames.shape[2]))
        x = self.layers(frames[..., None])  # (B, T, F, C): the bins and channels of a step lie together
        steps = torch.div(num_frames + self.frames_per_step - 1, self.frames_per_step, rounding_mode="floor")
        mask = length_mask(steps, num_steps)
        return Memory(self.dropout(self.output(x.flatten(2))) * mask[..., None], mask, self.layout)


class _Shorten(nn.Module):
    """A convolution over time that makes ``stride`` steps one and widens the channels; loses its reach at both ends."""

    def __init__(self, channels_before: int, channels: int, num_mels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        # As many steps on either side of those that become one.
        self.convolution = nn.Conv2d(channels_before, channels, (kernel_size - 1 + stride, 1), (stride, 1))
        self.norm = nn.LayerNorm(channels * num_mels)

    def forward(self, x: Tensor) -> Tensor:
        """Shortens x (B, T, F, C) to (B, T', F, C')."""
        x = torch.relu(_over_time(self.convolution, x))
        return self.norm(x.flatten(2)).view_as(x)


class _Block(nn.Module):
    """A convolution over time and a perceptron over the step, each added to what it reads (figure 1).

    Like every layer here, it loses its reach at both ends.
    """

    def __init__(self, channels: int, num_mels: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        width = channels * num_mels
        self.convolution = nn.Conv2d(channels, channels, (kernel_size, 1))
        self.perceptron = nn.Sequential(nn.Linear(width, width), nn.ReLU(), Dropout(dropout), nn.Linear(width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = Dropout(dropout)
        self.reach = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Takes x (B, T, F, C) to (B, T - 2 * reach, F, C)."""
        heard = self.dropout(torch.relu(_over_time(self.convolution, x)))
        steps = self.norms[0]((x[:, self.reach : x.shape[1] - self.reach] + heard).flatten(2))
        steps = self.norms[1](steps + self.dropout(self.perceptron(steps)))
        return steps.view_as(heard)


def _over_time(convolution: nn.Module, x: Tensor) -> Tensor:
    """The convolution of each bin.

    Shapes:
        x: (B, T, F, C). Returns (B, T', F, C').
    """
    # Seen as (B, C, T, F) this is torch's channels_last: nothing is copied on the way there and back.
    return convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
