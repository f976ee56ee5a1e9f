"""Minimum word error rate training on the n-best texts of a beam (Prabhavalkar et al. 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Count, NotNegative, Positive
from multimodal_attn.search import BeamSearch
from multimodal_attn.training.objectives.whole_texts import WholeTextObjective, text_log_probs
from multimodal_attn.training.rewards import word_errors
from multimodal_attn.types import BOS, EOS, PAD, Batch, DecoderOutput, Hypothesis, Memory


class MinimumWordError(WholeTextObjective):
    """The expected word error rate over the n best texts, their probabilities scaled to sum to 1 (equations 9 and 10).

    The paper subtracts the mean number of errors; as the probabilities sum to 1, this changes the value alone, which
    here is the rate itself: expected errors of the batch over its true words. Reads the first text of each source.

    Args:
        weight: of this objective in the sum.
        num_best: n, texts of each source.
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.
    """

    def __init__(
        self,
        weight: NotNegative = 1.0,
        num_best: Annotated[int, Ge(2)] = 4,
        max_length: Count = 1000,
        max_length_ratio: Positive | None = 1.5,
    ) -> None:
        super().__init__(weight)
        self.beam = BeamSearch(num_best, max_length=max_length, max_length_ratio=max_length_ratio)

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput | None) -> Tensor:
        truth = [targets[0].text for targets in batch.targets]
        with evaluating(model.decoder):
            found = self.beam(model, memory)
            tokens, mask = (tensor.to(memory.mask.device) for tensor in _pad(found, self.beam.width))
            log_probs = text_log_probs(model.decoder, tokens, mask, memory)
        # A beam may find fewer texts than asked for: empty rows have no probability.
        probabilities = log_probs.masked_fill(~mask.any(-1), -torch.inf).softmax(-1)
        tokenizers = [self.tokenizer.of_source(text) for text in batch.source_texts]
        texts = [
            [tokenizer.decode(h.tokens) for h in row] + [""] * (self.beam.width - len(row))
            for tokenizer, row in zip(tokenizers, found, strict=True)
        ]
        errors = word_errors(texts, truth).to(memory.mask.device)
        return (probabilities * errors).sum() / max(1, sum(len(text.split()) for text in truth))


def _pad(found: list[list[Hypothesis]], width: int) -> tuple[Tensor, Tensor]:
    """Hypotheses as tokens (B, K, T) from <bos>, and their mask."""
    rows = [
        [BOS, *h.tokens] + [EOS] * (not h.hit_max_length) if h is not None else []
        for hypotheses in found
        for h in [*hypotheses, *[None] * (width - len(hypotheses))]
    ]
    tokens = pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], batch_first=True, padding_value=PAD)
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(tokens.shape[1]) < lengths[:, None]
    return tokens.unflatten(0, (len(found), width)), mask.unflatten(0, (len(found), width))
