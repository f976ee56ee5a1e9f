"""Cross-entropy of the next token, with label smoothing (Szegedy et al. 2016, section 7)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import DropoutRate, NotNegative
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Memory


class CrossEntropy(Objective):
    """Mean over real tokens.

    Args:
        weight: of this objective in the sum.
        label_smoothing: share of the target's probability that is spread over the vocabulary.
    """

    def __init__(self, weight: NotNegative = 1.0, label_smoothing: DropoutRate = 0.0) -> None:
        super().__init__(weight)
        self.label_smoothing = label_smoothing

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        # Smoothing is a regularizer of training: validation reports the plain likelihood.
        smoothing = self.label_smoothing if self.training else 0.0
        return functional.cross_entropy(output.logits.float(), output.labels, label_smoothing=smoothing)
