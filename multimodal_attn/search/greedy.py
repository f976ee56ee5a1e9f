"""Greedy search: the most probable next token, every time, for a whole batch at once."""

from __future__ import annotations

import torch

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.limits import forbid, length_limits
from multimodal_attn.types import BOS, EOS, Hypothesis, Memory


class GreedySearch:
    """Takes the best token of every step.

    Args:
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.
    """

    def __init__(self, max_length: int = 200, max_length_ratio: float | None = None) -> None:
        self.max_length, self.max_length_ratio = max_length, max_length_ratio

    @torch.no_grad()
    def __call__(self, decoder: Decoder, memory: Memory) -> list[list[Hypothesis]]:
        """For every source a list of one hypothesis, as every search gives them.

        Args:
            decoder: in evaluation mode.
            memory: of B sources.
        """
        source = decoder.prepare(memory)
        state = decoder.start(source, rows=1)
        limits = length_limits(memory, self.max_length, self.max_length_ratio)
        token = torch.full((len(memory.mask), 1), BOS, device=memory.mask.device)
        finished = torch.zeros_like(limits, dtype=torch.bool)
        tokens, log_probs, weights = [], [], []
        for t in range(int(limits.max())):
            logits, state, attended = decoder.step(token, state, source)
            best, token = forbid(logits).log_softmax(-1).max(-1)
            tokens.append(token[:, 0])
            log_probs.append(best[:, 0])
            weights.append(attended.weights[:, 0])
            finished |= (token[:, 0] == EOS) | (limits <= t + 1)
            if bool(finished.all()):
                break
        return [
            [_cut(tokens_b, log_probs_b, weights_b, int(limit))]
            for tokens_b, log_probs_b, weights_b, limit in zip(
                torch.stack(tokens, 1).cpu(),
                torch.stack(log_probs, 1).cpu(),
                torch.stack(weights, 1).cpu(),
                limits,
                strict=True,
            )
        ]


def _cut(tokens: torch.Tensor, log_probs: torch.Tensor, weights: torch.Tensor, limit: int) -> Hypothesis:
    """The row's text up to its <eos> or its limit."""
    ends = (tokens[:limit] == EOS).nonzero()
    ended = len(ends) > 0
    length = int(ends[0]) if ended else limit
    # The score counts <eos> as well: ending was a choice.
    score = float(log_probs[: length + ended].mean())
    return Hypothesis(tokens[:length].tolist(), score, log_probs[:length], weights[:length], not ended)
