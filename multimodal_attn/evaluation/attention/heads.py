"""What the heads of self-attention do: figures of each, by layer and head, with no truth needed.

- ``entropy`` of what a position reads, over the largest possible: 1 is uniform, 0 a single position.
- ``distance`` between a position and what it reads, the mean by weight: in tokens, memory steps or cells of a picture.
- ``positional``: share of the positions whose peak lies at the one distance, with its direction, at which most of this
  head's peaks lie (Voita et al. 2019, section 5.1, who call a head positional from 0.9 on).
- ``previous``: weight on the position before (Clark et al. 2019, section 3.1); not of pictures.
- ``sink``: weight on positions that every position reads (Xiao et al. 2024, section 3.1); see ``sink_share``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from multimodal_attn.evaluation.attention.shape import sink_share
from multimodal_attn.prediction.entropy import effective_cells
from multimodal_attn.prediction.self_attention import Head, Reads, SelfAttention

FIGURES = ("entropy", "distance", "positional", "previous", "sink")


def measure_head(weights: np.ndarray, shape: tuple[int, int], extra: int, causal: bool) -> Head:
    """The figures of one head in one example.

    Distances, offsets and ``previous`` are of the cells among themselves: a class token has no place.

    Args:
        weights: without padding.
        shape: rows and columns of the cells; one row where they have an order.
        extra: positions before the cells.
        causal: whether a position reads only those up to itself.

    Shapes:
        weights: (C, C), rows that sum to 1.
    """
    size = len(weights)
    figures: dict[str, float] = {}
    seen = np.arange(1, size + 1) if causal else np.full(size, size)
    telling = seen > 1  # what can read one position alone says nothing
    if telling.any():
        spread = np.log(effective_cells(weights[telling])) / np.log(seen[telling])
        figures["entropy"] = float(spread.mean())
    cells = weights[extra:, extra:].astype(np.float64)
    down, across = np.divmod(np.arange(len(cells)), shape[1])
    rows, columns = down - down[:, None], across - across[:, None]
    mass = np.maximum(cells.sum(axis=1), 1e-12)
    figures["distance"] = float(((cells * np.hypot(rows, columns)).sum(axis=1) / mass).mean())
    places = np.arange(len(cells)), cells.argmax(axis=1)
    steps = zip(rows[places].tolist(), columns[places].tolist(), strict=True)
    offsets: Counter[Any] = Counter(step if shape[0] > 1 else step[1] for step in steps)
    figures["positional"] = max(offsets.values()) / len(cells)
    if shape[0] == 1 and len(cells) > 1:
        figures["previous"] = float(cells.diagonal(-1).mean())
    if (sink := sink_share(weights)) is not None:
        figures["sink"] = sink
    return Head(figures, offsets)


def heads_of(examples: Sequence[SelfAttention]) -> dict[str, Any]:
    """The figures of every head over examples, as heads.json holds them: of each part a list of layers, of lists of
    heads; empty without examples.

    ``positional`` is over the positions of all examples together, with the ``offset`` that it is about; the others are
    means over the examples that have them.
    """
    found: dict[str, list[Reads]] = {}
    for example in examples:
        for reads in example.reads:
            found.setdefault(reads.part, []).append(reads)
    return {"num_examples": len(examples)} | {part: _layers(reads) for part, reads in found.items()} if found else {}


def _layers(examples: Sequence[Reads]) -> list[list[dict[str, Any]]]:
    return [
        [_mean([example.heads[layer][head] for example in examples]) for head in range(len(heads))]
        for layer, heads in enumerate(examples[0].heads)
    ]


def _mean(heads: Sequence[Head]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in FIGURES:
        values = [head.figures[name] for head in heads if name in head.figures]
        if values:
            found[name] = round(float(np.mean(values)), 4)
    offsets: Counter[Any] = sum((head.offsets for head in heads), Counter())
    offset, count = offsets.most_common(1)[0]
    return found | {"positional": round(count / offsets.total(), 4), "offset": offset}
