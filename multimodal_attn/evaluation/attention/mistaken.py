"""Words that are wrong where attention is right: the model looked at one thing that is described and named another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multimodal_attn.evaluation.attention.grounding import hit_cells, peaks, pointing_hit
from multimodal_attn.prediction.true_boxes import Thing
from multimodal_attn.types import Box, Grid


def looked_at(
    maps: np.ndarray, grid: Grid, boxes: Mapping[int, tuple[Box, ...]], described: Sequence[Sequence[Thing]]
) -> dict[int, str]:
    """What the model looked at where it named another thing.

    A word that names a thing in the picture while its peak lies in the box of another one is a wrong word, and not a
    map that misses: the map is of what the model wrote about. Where boxes overlap and the peak lies in both, the word
    is right. Of several other things there it is the smallest.

    Args:
        maps: of the words.
        grid: of their cells.
        boxes: index of a word -> its true boxes.
        described: the things of each reference.

    Shapes:
        maps: (W, S).

    Returns:
        Index of a word -> the name of the thing that its peak lies in.
    """
    others = [(hit_cells(grid, thing.boxes), thing) for reference in described for thing in reference]
    others.sort(key=lambda pair: int(pair[0].sum()))  # of equals the first stays in front
    found = {}
    for index, own in boxes.items():
        if pointing_hit(maps[index], grid, own) > 0:
            continue
        top = peaks(maps[index])
        names = [thing.name for cells, thing in others if cells[top].all() and thing.boxes != own]
        if names:
            found[index] = names[0]
    return found
