"""Texts drawn as tensors, for objectives that learn from what the model writes itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.constraints import Constraints
from multimodal_attn.search.limits import LengthLimits
from multimodal_attn.search.rollout import roll
from multimodal_attn.types import BOS, EOS, PAD, Memory


class Drawn(NamedTuple):
    """Texts of every source, as a decoder's teacher-forced ``forward`` takes them.

    Attributes:
        tokens: (B, K, T) from <bos> to <eos>, or to where a text was cut off; then padding.
        mask: (B, K, T).
    """

    tokens: Tensor
    mask: Tensor


@torch.no_grad()
def draw(
    decoder: Decoder,
    memory: Memory,
    num_samples: int,
    max_length: int = 200,
    greedy_row: bool = False,
    temperature: float = 1.0,
) -> Drawn:
    """Draws texts of every source, token by token, from the model's own distribution.

    Args:
        decoder: in evaluation mode.
        memory: of B sources.
        num_samples: texts of each source.
        max_length: tokens after which a text is cut off.
        greedy_row: put one more row before the samples, which takes the best token of every step.
        temperature: divides the log probabilities: below 1 sharpens the distribution, above 1 flattens it.
    """

    def choose(log_probs: Tensor, step: int) -> Tensor:
        probabilities = (log_probs.float() / temperature).softmax(-1)
        drawn = torch.multinomial(probabilities.flatten(0, 1), 1).view(log_probs.shape[:2])
        if greedy_row:
            drawn[:, 0] = log_probs[:, 0].argmax(-1)
        return drawn

    limits = LengthLimits(max_length)
    steps = roll(decoder, memory, num_samples + greedy_row, choose, limits, Constraints())
    written = torch.stack(steps.tokens, 2)
    tokens = torch.cat([torch.full_like(written[..., :1], BOS), written], dim=2)
    ended = (tokens == EOS).long().cumsum(2)
    mask = ended - (tokens == EOS).long() == 0  # up to the first <eos>, that one included
    return Drawn(tokens.masked_fill(~mask, PAD), mask)
