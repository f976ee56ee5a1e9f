"""What every search forbids and where it must stop."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.types import BOS, PAD, UNK, Memory


def forbid(logits: Tensor) -> Tensor:
    """Logits in which no text can hold padding, a second start, or an unknown word.

    Shapes:
        logits: (..., V); changed in place and returned.
    """
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    return logits


def length_limits(memory: Memory, max_length: int, max_length_ratio: float | None) -> Tensor:
    """After how many tokens the text of each source is cut off, (B,) int64.

    Args:
        memory: of the sources.
        max_length: tokens at most.
        max_length_ratio: tokens per real memory position at most; None for no such limit. A recording of one second
            does
            not hold a hundred words: this bounds a text that repeats itself.
    """
    limits = torch.full((len(memory.mask),), max_length, device=memory.mask.device)
    if max_length_ratio is not None:
        limits = limits.minimum((memory.mask.sum(1) * max_length_ratio).ceil().long().clamp(min=1))
    return limits
