"""The contract of encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from multimodal_attn.types import Layout, Memory, Modality


class Encoder(nn.Module, ABC):
    """Maps sources to a memory; what comes after knows the memory's layout and nothing else of the modality.

    The memory of a source never depends on its batch mates.

    Attributes:
        reads: what it encodes.
        dim: width D of the memory.
        layout: where each memory position lies in the source.
    """

    reads: Modality = "recording"
    dim: int
    layout: Layout

    @abstractmethod
    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encodes a batch.

        Shapes:
            source: (B, 3, height, width) uint8 pictures, (B, L) float32 waveforms or (B, S) int64 texts.
            lengths: (B,) samples or tokens; pictures do not use it.
        """

    def layer_weights(self, source: Tensor, lengths: Tensor) -> list[Tensor]:
        """The weights of every layer of self-attention, first to last, averaged over heads; empty for encoders without.

        Shapes:
            As in ``forward``. Returns (B, P, P) each, rows that sum to 1; the last S of the P positions are those of
            the memory, any before them belong to no cell.
        """
        return []
