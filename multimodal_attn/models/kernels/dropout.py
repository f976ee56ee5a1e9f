"""Dropout (Srivastava et al. 2014) whose random numbers cost little on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.models.kernels import in_use

SMALL = 4096  # numbers; fewer than these torch drops as quickly


class Dropout(nn.Dropout):
    """``nn.Dropout``; on a CPU it draws eight elements at once.

    torch draws a number for each element there, one after another on one core: in a model of convolutions that was four
    tenths of a training step. Here a byte of a 64-bit draw decides, so that ``p`` is kept to the nearest 256th, and
    what stays is scaled by the share that really stays: the expectation is exact.
    """

    @property
    def drops(self) -> bool:
        """Whether it does anything as the model is set now."""
        return self.training and self.p > 0

    def forward(self, x: Tensor) -> Tensor:
        """Drops values of x, of any shape."""
        limit = round(self.p * 256)
        small = x.numel() < SMALL or not 0 < limit < 256
        if small or not self.training or x.device.type != "cpu" or not in_use():
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.long).random_(-(2**63), None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= limit
        return x * kept.to(x.dtype).mul_(256 / (256 - limit))
