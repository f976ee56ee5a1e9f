"""Joint connectionist temporal classification (Graves et al. 2006; with attention: Kim et al. 2017, equation 8)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Count, NotNegative
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import PAD, Batch, DecoderOutput, Layout, Memory, Timeline


class CTC(Objective):
    """Makes the encoder write the text by itself, in order, which soon makes attention diagonal.

    Mean over texts of the loss per token. A text that does not fit into its memory positions has no CTC path
    (``unusable`` finds such examples, so that training leaves them out): where one occurs all the same, in
    validation or because the recording was sped up, it adds nothing here. Reads the first text of each source.

    Args:
        weight: of this objective in the sum.
        epochs: in so many first epochs; None for all. After them it is still computed and logged, with weight 0, but
            the CTC head no longer follows the encoder: neither decode nor time words with it then.

    Raises:
        ValueError: in ``forward``, for a memory that is no recording's.
    """

    needs_ctc_head = True

    def __init__(self, weight: NotNegative = 0.3, epochs: Count | None = None) -> None:
        super().__init__(weight, epochs)

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        if not isinstance(memory.layout, Timeline):
            raise ValueError(
                f"objective: ctc reads recordings in the order of time, not a {type(memory.layout).__name__}; expected"
                " objectives without it"
            )
        log_probs = model.ctc_logits(memory).float().log_softmax(-1).transpose(0, 1)  # (S, B, V)
        # Without <bos> and <eos>; an example without a text has none of them.
        lengths = (batch.token_mask[:, 0].sum(-1) - 2).clamp(min=0)
        texts = batch.tokens[:, 0, 1 : 1 + max(1, int(lengths.max()))]
        losses = functional.ctc_loss(
            log_probs, texts, memory.mask.sum(-1), lengths, blank=PAD, reduction="none", zero_infinity=True
        )
        return torch.mean(losses / lengths.clamp(min=1))

    def unusable(self, data: DataModule, layout: Layout) -> dict[int, str]:
        """The examples whose first text needs more memory positions than their recording has.

        Each token takes a position, and a blank must part two equal ones that follow each other.
        """
        if not isinstance(layout, Timeline):
            return {}
        source, tokenizer, reasons = data.source("train"), data.tokenizer, {}
        for index, (_, targets, seconds) in enumerate(source.entries):
            if targets:
                tokens = tokenizer.encode(targets[0].text)
                needed = len(tokens) + sum(one == other for one, other in pairwise(tokens))
                # Lengths are seconds of whole samples: 1e-6 of a position is more than rounding and less than a sample.
                positions = math.ceil((seconds - layout.offset_seconds) / layout.step_seconds - 1e-6)
                if needed > positions:
                    reasons[index] = f"its text is too long for CTC (needs {needed} memory positions of {positions})"
        return reasons
