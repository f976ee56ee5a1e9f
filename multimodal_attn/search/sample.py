"""Sampling: texts drawn from the model's own distribution."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.limits import forbid, length_limits
from multimodal_attn.types import BOS, EOS, PAD, Hypothesis, Memory


class Drawn(NamedTuple):
    """Texts of every source, as a decoder's teacher-forced ``forward`` takes them.

    Attributes:
        tokens: (B, K, T) from <bos> to <eos>, or to where a text was cut off; then padding.
        mask: (B, K, T).
        log_probs: (B, K, T - 1) of each token after <bos>; 0 where it is padding.
        weights: (B, K, T - 1, N, S) attention when each of these was written.
    """

    tokens: Tensor
    mask: Tensor
    log_probs: Tensor
    weights: Tensor


class SampleSearch:
    """Draws ``num_samples`` texts of each source, token by token.

    Args:
        num_samples: K, texts of each source.
        temperature: divides the logits that are drawn from; below 1 the likely becomes likelier.
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.

    Raises:
        ValueError: if ``num_samples`` is below 1 or ``temperature`` is not above 0.
    """

    def __init__(
        self,
        num_samples: int = 5,
        temperature: float = 1.0,
        max_length: int = 200,
        max_length_ratio: float | None = None,
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"search.num_samples: {num_samples}; expected at least 1")
        if not temperature > 0:
            raise ValueError(f"search.temperature: {temperature}; expected a number above 0")
        self.num_samples, self.temperature = num_samples, temperature
        self.max_length, self.max_length_ratio = max_length, max_length_ratio

    def __call__(self, decoder: Decoder, memory: Memory) -> list[list[Hypothesis]]:
        """For every source its samples, the most probable first (by the mean log probability of their tokens).

        Arguments as in ``GreedySearch``.
        """
        drawn = self.draw(decoder, memory)
        tokens, log_probs, weights = drawn.tokens.cpu(), drawn.log_probs.cpu(), drawn.weights.cpu()
        lengths = (drawn.mask.sum(-1) - 1).tolist()
        found = []
        for b, rows in enumerate(lengths):
            hypotheses = []
            for k, length in enumerate(rows):
                ended = int(tokens[b, k, length]) == EOS
                words = length - ended
                hypotheses.append(
                    Hypothesis(
                        tokens[b, k, 1 : 1 + words].tolist(),
                        float(log_probs[b, k, :length].mean()),
                        log_probs[b, k, :words],
                        weights[b, k, :words],
                        not ended,
                    )
                )
            found.append(sorted(hypotheses, key=lambda h: -h.score))
        return found

    @torch.no_grad()
    def draw(self, decoder: Decoder, memory: Memory, greedy_row: bool = False) -> Drawn:
        """Draws texts as tensors.

        Args:
            decoder: in evaluation mode.
            memory: of B sources.
            greedy_row: put one more row before the samples, which takes the best token of every step.
        """
        rows = self.num_samples + greedy_row
        source = decoder.prepare(memory)
        state = decoder.start(source, rows=rows)
        limits = length_limits(memory, self.max_length, self.max_length_ratio)[:, None]
        token = torch.full((len(memory.mask), rows), BOS, device=memory.mask.device)
        finished = torch.zeros_like(token, dtype=torch.bool)
        tokens, mask, log_probs, weights = [token], [~finished], [], []
        for t in range(int(limits.max())):
            logits, state, attended = decoder.step(token, state, source)
            distribution = forbid(logits).float().log_softmax(-1)
            chances = distribution if self.temperature == 1 else (distribution / self.temperature).log_softmax(-1)
            drawn = torch.multinomial(chances.exp().flatten(0, 1), 1).view_as(token)
            if greedy_row:
                drawn[:, 0] = distribution[:, 0].argmax(-1)
            token = drawn.masked_fill(finished, PAD)
            tokens.append(token)
            mask.append(~finished)
            log_probs.append(distribution.gather(-1, drawn[..., None])[..., 0].masked_fill(finished, 0.0))
            weights.append(attended.weights.masked_fill(finished[..., None, None], 0.0))
            finished = finished | (token == EOS) | (limits <= t + 1)
            if bool(finished.all()):
                break
        return Drawn(torch.stack(tokens, 2), torch.stack(mask, 2), torch.stack(log_probs, 2), torch.stack(weights, 2))
