"""What an encoder does to its sources in training, so that it hears and sees more of them than there are."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class SourceDistortion(nn.Module, ABC):
    """Distorts sources by draws from torch's generator."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes with its settings."""

    @abstractmethod
    def one(self, source: Tensor) -> Tensor:
        """Another version of one source.

        Shapes:
            (3, height, width) uint8 or (L,) to the same, though a recording may become longer or shorter.
        """

    def version(self, source: Tensor, seed: int) -> Tensor:
        """As ``one``; the same for the same seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.one(source)
