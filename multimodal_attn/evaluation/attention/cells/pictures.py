"""Cells of a picture: whether they point at the boxes of what a word names."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.evaluation.attention.cells.base import Cells, Reading, Text
from multimodal_attn.evaluation.attention.grounding import center_prior, ground, hit_cells
from multimodal_attn.evaluation.statistics import Mean, Number, Statistic
from multimodal_attn.types import Grid, Target


class PictureCells(Cells[Grid]):
    """Grounding along the references, over words with known boxes.

    ``pointing_accuracy``, ``box_mass_gain`` and ``box_iou``; each again with ``_next``, of the map of the token after
    the word, and with ``_uniform`` and ``_center``, which need no model; and ``pointing_num_words``.
    """

    ordered: ClassVar[bool] = False

    def update(self, reading: Reading, layout: Grid) -> None:
        for row, target in enumerate(reading.references()):
            if target.boxes:
                self.compare(reading.along(row), target, layout)

    def compare(self, text: Text, target: Target, grid: Grid) -> None:
        """Adds one caption, read along with."""
        self.note_sharpness(text.maps)
        following = text.maps if text.ending is None else np.concatenate([text.maps, text.ending[None]])
        words = [(*text.spans[word], boxes) for word, boxes in target.boxes.items() if boxes and word < len(text.spans)]
        if not words:  # or a caption that was cut off lacks the last ones
            return
        cells = np.stack([hit_cells(grid, boxes) for *_, boxes in words])
        own = np.stack([text.maps[first:stop].mean(0) for first, stop, _ in words])
        followed = [index for index, (_, stop, _) in enumerate(words) if stop < len(following)]
        uniform = np.full(cells.shape[1], 1 / cells.shape[1])
        for kind, maps, right in (
            ("", own, cells),
            ("_next", following[[words[index][1] for index in followed]], cells[followed]),
            ("_uniform", uniform, cells),
            ("_center", center_prior(grid), cells),
        ):
            self.note(kind, [np.stack([*ground(maps, right), right.mean(1)])])

    def statistics(self) -> list[Statistic]:
        if not self.samples:
            return []
        found: list[Statistic] = []
        for kind in self.samples:
            (hit, mass, iou, chance), examples = self.joined(kind)
            if not len(examples):
                continue
            # The first of these had its name before there were others.
            plain = kind in ("_uniform", "_center")
            found.append(Mean(f"pointing{kind}" if plain else f"pointing_accuracy{kind}", hit, examples))
            uniform = kind == "_uniform"
            gain = ("box_mass_uniform", mass) if uniform else (f"box_mass_gain{kind}", mass - chance)
            found += [Mean(*gain, examples), Mean(f"box_iou{kind}", iou, examples)]
        return [*found, Number("pointing_num_words", self.joined("")[1])]

    @staticmethod
    def remove(source: Tensor, removed: Tensor, layout: Grid, sample_rate: int) -> Tensor:
        """Pictures (B, 3, height, width) with their mean color in the regions of the cells."""
        height, width = source.shape[-2:]
        down = (torch.arange(height, device=source.device) + 0.5) * layout.rows / height
        across = (torch.arange(width, device=source.device) + 0.5) * layout.columns / width
        pixels = removed.unflatten(1, (layout.rows, layout.columns))[:, down.long()][:, :, across.long()]
        color = source.float().mean((2, 3), keepdim=True).to(source.dtype)
        return torch.where(pixels[:, None], color, source)
