"""The contract of objectives.

A new objective is one file with one class like these and one yaml in ``conf/objective``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Count, NotNegative
from multimodal_attn.types import Batch, Layout, Memory


class Objective(nn.Module, ABC):
    """A number to be made small; the weighted sum of all objectives is the loss.

    Args:
        weight: of this objective in the sum.
        epochs: in so many first epochs; None for all. After them it is still computed and logged, with weight 0.

    Attributes:
        needs_ctc_head: whether the model must project its memory to tokens.
        needs_output: whether it reads a teacher-forced pass. One that does not cannot teach a fresh model to write.
    """

    needs_ctc_head: bool = False
    needs_output: bool = True

    def __init__(self, weight: NotNegative = 1.0, epochs: Count | None = None) -> None:
        super().__init__()
        self.weight, self.epochs = weight, epochs

    def prepare(self, data: DataModule) -> None:
        """Called once before training, with the run's data."""
        return

    def unusable(self, data: DataModule, layout: Layout) -> dict[int, str]:
        """Index in the training data -> why this objective can do nothing with the example; it is left out."""
        return {}

    def weight_in(self, epoch: int) -> float:
        """Its weight in an epoch; all parameters keep a gradient, as data-parallel training needs it."""
        return self.weight if self.epochs is None or epoch < self.epochs else 0.0

    @abstractmethod
    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: Any) -> Tensor:
        """The value for a batch.

        Args:
            model: that learns.
            batch: of B sources.
            memory: what the encoder made of them.
            output: ``DecoderOutput`` of a teacher-forced pass; None where no objective reads one.
        """
