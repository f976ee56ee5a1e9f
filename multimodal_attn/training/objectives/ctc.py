"""Joint connectionist temporal classification (Graves et al. 2006; with attention: Kim et al. 2017, equation 8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import PAD, Batch, DecoderOutput, Memory


class CTC(nn.Module):
    """Makes the encoder write the text by itself, in order, which soon makes attention diagonal.

    Mean over texts of the loss per token. A text that does not fit into its memory positions has no CTC path: it adds
    nothing here. Reads the first text of each source.

    Args:
        weight: of this objective in the sum.
    """

    needs_ctc_head = True

    def __init__(self, weight: float = 0.3) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        log_probs = model.ctc_logits(memory).float().log_softmax(-1).transpose(0, 1)  # (S, B, V)
        lengths = batch.token_mask[:, 0].sum(-1) - 2  # without <bos> and <eos>
        texts = batch.tokens[:, 0, 1 : 1 + max(1, int(lengths.max()))]
        losses = functional.ctc_loss(
            log_probs, texts, memory.mask.sum(-1), lengths, blank=PAD, reduction="none", zero_infinity=True
        )
        return torch.mean(losses / lengths.clamp(min=1))
