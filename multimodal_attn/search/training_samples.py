"""Sampled texts as tensors, for objectives that learn from what the model writes itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.independent_texts import write
from multimodal_attn.types import BOS, EOS, PAD, Memory


class Samples(NamedTuple):
    """Texts of every source, as a decoder's teacher-forced ``forward`` takes them.

    Attributes:
        tokens: (B, K, T) from <bos> to <eos>, or to where a text was cut off; then padding.
        mask: (B, K, T).
    """

    tokens: Tensor
    mask: Tensor


@torch.no_grad()
def sample(
    model: Seq2Seq,
    memory: Memory,
    num_samples: int,
    max_length: int = 200,
    greedy_row: bool = False,
    temperature: float = 1.0,
) -> Samples:
    """Samples texts of every source, token by token, from the model's own distribution.

    Args:
        model: in evaluation mode.
        memory: of B sources.
        num_samples: texts of each source.
        max_length: tokens after which a text is cut off.
        greedy_row: put one more row before the samples, which takes the best token of every step.
        temperature: divides the log probabilities: below 1 sharpens the distribution, above 1 flattens it.
    """

    def choose(log_probs: Tensor, number: int) -> Tensor:
        probabilities = (log_probs.float() / temperature).softmax(-1)
        chosen = torch.multinomial(probabilities.flatten(0, 1), 1).view(log_probs.shape[:2])
        if greedy_row:
            chosen[:, 0] = log_probs[:, 0].argmax(-1)
        return chosen

    limits = torch.full((len(memory.mask),), max_length, device=memory.mask.device)
    written = write(model, memory, num_samples + greedy_row, choose, limits).tokens
    tokens = torch.cat([torch.full_like(written[..., :1], BOS), written], dim=2)
    ended = (tokens == EOS).long().cumsum(2)
    mask = ended - (tokens == EOS).long() == 0  # up to the first <eos>, that one included
    return Samples(tokens.masked_fill(~mask, PAD), mask)
