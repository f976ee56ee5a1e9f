"""Strided convolutions that shorten log-mel frames before self-attention (Gulati et al. 2020, figure 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import length_mask


class ConvSubsampling(nn.Module):
    """Convolutions of stride 2, each followed by a ReLU, and a projection.

    Along time the kernels are four frames wide, not the usual three: step s of the output is then centered on exactly
    the frames ``[s, s + 1) * factor`` that it stands for.

    Args:
        num_mels: F, bins of the frames.
        dim: width of the output.
        factor: how many frames become one step: 2, 4 or 8.
        channels: of every convolution.
    """

    def __init__(self, num_mels: int, dim: int, factor: int = 4, channels: int = 32) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        before, bins, left = 1, num_mels, factor
        while left > 1:
            self.convolutions.append(nn.Conv2d(before, channels, (4, 3), stride=2, padding=1))
            before, bins, left = channels, (bins + 1) // 2, left // 2
        self.project = nn.Linear(channels * bins, dim)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Steps and their number.

        Shapes:
            frames: (B, frames, F), zero beyond each length. lengths: (B,).
            Returns (B, S, dim), arbitrary beyond each length, and (B,).
        """
        x = frames[:, None]
        for convolution in self.convolutions:
            x = functional.pad(x, (0, 0, 0, x.shape[2] % 2))
            x = torch.relu(convolution(x))
            lengths = torch.div(lengths + 1, 2, rounding_mode="floor")
            # The next convolution reaches over the end, where the bias has left more than zero.
            x = x * length_mask(lengths, x.shape[2])[:, None, :, None]
        return self.project(x.transpose(1, 2).flatten(2)), lengths
