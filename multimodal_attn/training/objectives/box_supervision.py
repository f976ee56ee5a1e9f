"""Attention supervised by true boxes (Liu et al. 2017, "Attention Correctness in Neural Image Captioning")."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import NotNegative
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, Box, DecoderOutput, Grid, Memory


class BoxSupervision(Objective):
    """Asks the map of a word to lie on the boxes that the word speaks of.

    Mean over the words with boxes of ``sum_s q_s log(q_s / a_s)``, where *a* is the mean map over the word's tokens and
    heads, and *q* is spread evenly over the area of its boxes (``box_maps``). Words without boxes say nothing; where
    no word of the batch has any, the value is 0.

    Args:
        weight: of this objective in the sum.

    Raises:
        ValueError: when it is called for another source than pictures.
    """

    def __init__(self, weight: NotNegative = 0.1) -> None:
        super().__init__(weight)

    def prepare(self, data: DataModule) -> None:
        """Called once before training, with the run's data."""
        self.word_spans = data.tokenizer.word_spans

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        if not isinstance(memory.layout, Grid):
            raise ValueError("objective: box_supervision needs pictures; other sources have no boxes")
        maps = output.weights.float().mean(3)  # (B, K, T, S)
        found: list[Tensor] = []
        named: list[tuple[Box, ...]] = []
        for b, targets in enumerate(batch.targets):
            for k, target in enumerate(targets):
                if not target.boxes:
                    continue
                tokens = batch.tokens[b, k][batch.token_mask[b, k]][1:-1].tolist()
                spans = self.word_spans(tokens)
                for word, boxes in target.boxes.items():
                    if word < len(spans):  # a text that was cut off lacks its last words
                        first, stop = spans[word]
                        found.append(maps[b, k, first:stop].mean(0))
                        named.append(boxes)
        if not found:
            return maps.sum() * 0.0
        truth = box_maps(memory.layout, named).to(maps.device)
        # Clamped: sparse normalizers give exact zeros, whose logarithm would be all that is left of the loss.
        divergence = torch.xlogy(truth, truth) - truth * torch.stack(found).clamp(min=1e-6).log()
        return divergence.sum() / truth.sum(-1).count_nonzero().clamp(min=1)


def box_maps(grid: Grid, words: list[tuple[Box, ...]]) -> Tensor:
    """For each word the share of each cell's area that its boxes cover, divided by the sum of all; 0 everywhere where
    the boxes have no area.

    What several boxes cover of a cell is added up, to the whole cell at most.

    Shapes:
        Returns (W, S).
    """
    corners = torch.tensor([box for boxes in words for box in boxes], dtype=torch.float32).view(-1, 4)
    owners = torch.tensor([word for word, boxes in enumerate(words) for _ in boxes], dtype=torch.long)
    down = _overlaps(grid.rows, corners[:, 1], corners[:, 3])
    across = _overlaps(grid.columns, corners[:, 0], corners[:, 2])
    areas = (down[:, :, None] * across[:, None]).flatten(1)  # (boxes, S)
    covered = areas.new_zeros(len(words), areas.shape[1]).index_add(0, owners, areas).clamp(max=1)
    return covered / covered.sum(-1, keepdim=True).clamp(min=torch.finfo(covered.dtype).tiny)


def _overlaps(number: int, first: Tensor, last: Tensor) -> Tensor:
    """The share of each of ``number`` equal intervals on [0, 1] that lies in [first, last].

    Shapes:
        first, last: (M,). Returns (M, number).
    """
    edges = torch.arange(number + 1) / number
    return (number * (last[:, None].minimum(edges[1:]) - first[:, None].maximum(edges[:-1]))).clamp(0, 1)
