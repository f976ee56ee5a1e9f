"""Where every search must stop, and how its settings are checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from multimodal_attn.types import Memory


@dataclass(frozen=True)
class LengthLimits:
    """After how many tokens a text is cut off.

    Args:
        max_length: tokens at most.
        max_length_ratio: tokens per real memory position at most; None for no such limit. A recording of one second
            does not hold a hundred words: this bounds a text that repeats itself.

    Raises:
        ValueError: if ``max_length`` is below 1, or ``max_length_ratio`` is not above 0.
    """

    max_length: int = 200
    max_length_ratio: float | None = None

    def __post_init__(self) -> None:
        require_at_least("max_length", self.max_length, 1)
        if self.max_length_ratio is not None:
            require_above("max_length_ratio", self.max_length_ratio, 0)

    def of(self, memory: Memory) -> Tensor:
        """The limit of each source, (B,) int64."""
        limits = torch.full((len(memory.mask),), self.max_length, device=memory.mask.device)
        if self.max_length_ratio is not None:
            limits = limits.minimum((memory.mask.sum(1) * self.max_length_ratio).ceil().long().clamp(min=1))
        return limits


def require_at_least(key: str, value: float, least: float) -> None:
    """Raises a ValueError that names ``search.<key>`` unless ``value`` is a finite number of at least ``least``."""
    if not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise ValueError(f"search.{key}: {value!r}; expected at least {least}")


def require_above(key: str, value: float, bound: float) -> None:
    """Raises a ValueError that names ``search.<key>`` unless ``value`` is a finite number above ``bound``."""
    if not isinstance(value, int | float) or not math.isfinite(value) or value <= bound:
        raise ValueError(f"search.{key}: {value!r}; expected a number above {bound}")
