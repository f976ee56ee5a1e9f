"""Self-attention in the form in which the page holds it: small matrices in bytes, and figures of each head."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np

from multimodal_attn.evaluation.attention.heads import FIGURES
from multimodal_attn.inspection.page.packing import pack_weights, rounded_number
from multimodal_attn.prediction.self_attention import CELLS, Head, Reads, SelfAttention

LEVELS = 63
"""A weight is the square of its code over this: small weights keep their digits, and few levels pack well."""
_FEWER = (CELLS, 49, 36, 25, 16, 9, 4)  # cells, until a part fits
_AT_BEST = 0.1  # bytes that a weight takes, with most of them 0: what cannot fit is not tried


def pack_self_attention(found: SelfAttention, room: int) -> dict[str, Any]:
    """What a card unfolds; cells are pooled until it fits.

    Args:
        found: of one example.
        room: bytes for it, figures and all; with four cells at last, it may take more.
    """
    figures = [[[_figures(head) for head in layer] for layer in reads.heads] for reads in found.reads]
    rollout = pack_weights(found.rollout[:, None])
    left = (room - len(json.dumps([figures, rollout]))) // len(found.reads)
    parts = [_pack_reads(reads, left) | {"measured": each} for reads, each in zip(found.reads, figures, strict=True)]
    return {"figures": FIGURES, "parts": parts, "rollout": rollout}


def _pack_reads(reads: Reads, room: int) -> dict[str, Any]:
    num_heads = sum(map(len, reads.weights))
    fitting = [cells for cells in _FEWER if _AT_BEST * num_heads * cells**2 <= room]
    for cells in fitting or _FEWER[-1:]:
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
        "data": data,
    }


def _figures(head: Head) -> list[Any]:
    """In the order of ``FIGURES``, then where most peaks lie."""
    ((offset, _),) = head.offsets.most_common(1)
    return [rounded_number(head.figures.get(name), 2) for name in FIGURES] + [offset]
