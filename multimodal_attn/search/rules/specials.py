"""Tokens that no text can hold."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.types import BOS, PAD, UNK


def forbid_specials(logits: Tensor) -> Tensor:
    """Logits in which no text can hold padding, a second start, or an unknown word.

    Shapes:
        logits: (..., V); changed in place and returned.
    """
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    return logits
