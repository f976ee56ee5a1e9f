"""Texts drawn as tensors, for objectives that learn from what the model writes itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.constraints import forbid_specials
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
def draw(decoder: Decoder, memory: Memory, num_samples: int, max_length: int = 200, greedy_row: bool = False) -> Drawn:
    """Draws texts of every source, token by token, from the model's own distribution.

    Args:
        decoder: in evaluation mode.
        memory: of B sources.
        num_samples: texts of each source.
        max_length: tokens after which a text is cut off.
        greedy_row: put one more row before the samples, which takes the best token of every step.
    """
    rows = num_samples + greedy_row
    source = decoder.prepare(memory)
    state = decoder.start(source, rows=rows)
    token = torch.full((len(memory.mask), rows), BOS, device=memory.mask.device)
    finished = torch.zeros_like(token, dtype=torch.bool)
    tokens, mask = [token], [~finished]
    for _ in range(max_length):
        logits, state, _ = decoder.step(token, state, source)
        chances = forbid_specials(logits).float().softmax(-1)
        drawn = torch.multinomial(chances.flatten(0, 1), 1).view_as(token)
        if greedy_row:
            drawn[:, 0] = chances[:, 0].argmax(-1)
        token = drawn.masked_fill(finished, PAD)
        tokens.append(token)
        mask.append(~finished)
        finished = finished | (token == EOS)
        if bool(finished.all()):
            break
    return Drawn(torch.stack(tokens, 2), torch.stack(mask, 2))
