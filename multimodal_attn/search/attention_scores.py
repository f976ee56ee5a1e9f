"""What the attention of a row says about its text: how much it has covered, and how far it jumps."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.search.ledger import select_rows
from multimodal_attn.types import Memory


class Coverage:
    """Counts the memory positions that received more than ``threshold`` attention so far (Chorowski & Jaitly 2017,
    section 3.2): a text that leaves out or repeats a part of its source covers less of it.

    Args:
        memory: of B sources.
        rows: K, rows of each.
        threshold: tau, between 0 and 1.
    """

    def __init__(self, memory: Memory, rows: int, threshold: float) -> None:
        self.threshold = threshold
        self.received = memory.states.new_zeros(len(memory.mask), rows, memory.mask.shape[1])  # (B, K, S)

    def look(self, weights: Tensor) -> Tensor:
        """Adds a step's attention, (B, K, N, S), and gives the covered positions of each row, (B, K)."""
        self.received = self.received + weights.mean(2)
        return (self.received > self.threshold).sum(-1).to(self.received.dtype)

    def select(self, index: Tensor) -> None:
        """Reorders the rows: (B, K) indices."""
        self.received = select_rows(self.received, index)


class JumpLimit:
    """Finds the rows whose peak of attention moved too far in one step, as it does when a text starts over.

    Args:
        limit: memory positions that it may move.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.peak: Tensor | None = None

    def look(self, weights: Tensor, alive: Tensor) -> Tensor:
        """True for the rows to give up, never for all that are ``alive`` of a source.

        Shapes:
            weights: (B, K, N, S). alive: (B, K). Returns (B, K).
        """
        before, self.peak = self.peak, weights.mean(2).argmax(-1)
        if before is None:
            return torch.zeros_like(alive)
        jumped = (self.peak - before).abs() > self.limit
        return jumped & (alive & ~jumped).any(1, keepdim=True)

    def select(self, index: Tensor) -> None:
        """Reorders the rows: (B, K) indices."""
        assert self.peak is not None, "a row is looked at before it is moved"
        self.peak = select_rows(self.peak, index)
