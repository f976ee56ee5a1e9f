"""Self-attention in the form in which the page holds it: small matrices in bytes, and figures of each head."""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from typing import Any

import numpy as np

from multimodal_attn.evaluation.attention.heads import FIGURES
from multimodal_attn.inspection.page.packing import pack_weights, rounded_number
from multimodal_attn.prediction.self_attention import CELLS, Reads, SelfAttention

LEVELS = 63
"""A weight is the square of its code over this: small weights keep their digits, and few levels pack well."""
_FEWER = (CELLS, 49, 36, 25, 16, 9, 4)  # cells, until a part fits


def pack_self_attention(found: SelfAttention, room: int) -> dict[str, Any]:
    """What a card unfolds; cells are pooled until it fits.

    Args:
        found: of one example.
        room: bytes for it; with four cells at last, it may take more.
    """
    parts = [_pack_reads(reads, room // len(found.reads)) for reads in found.reads]
    return {"figures": FIGURES, "parts": parts, "rollout": pack_weights(found.rollout[:, None])}


def _pack_reads(reads: Reads, room: int) -> dict[str, Any]:
    figures = [[_figures(head.figures, head.offsets) for head in layer] for layer in reads.heads]
    for cells in _FEWER:
        small = reads.pooled(cells)
        codes = [np.rint(LEVELS * np.sqrt(np.clip(layer, 0, 1))).astype(np.uint8).ravel() for layer in small.weights]
        data = base64.b64encode(zlib.compress(np.concatenate(codes).tobytes(), 9)).decode()
        if len(data) <= room:
            break
    return {
        "part": small.part,
        "shape": small.shape,
        "extra": small.extra,
        "factor": small.factor,
        "heads": [len(layer) for layer in small.weights],
        "levels": LEVELS,
        "measured": figures,
        "data": data,
    }


def _figures(figures: dict[str, float], offsets: Counter[Any]) -> list[Any]:
    """In the order of ``FIGURES``, then where most peaks lie."""
    ((offset, _),) = offsets.most_common(1)
    return [rounded_number(figures.get(name), 2) for name in FIGURES] + [offset]
