"""Greedy search: the most probable next token, every time, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.constraints import Constraints
from multimodal_attn.search.limits import LengthLimits
from multimodal_attn.search.rollout import roll_out
from multimodal_attn.types import Hypothesis, Memory


class GreedySearch:
    """Takes the best token of every step.

    The score of a text is the mean log probability of its tokens, <eos> included.

    Args:
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.
        min_length: see ``Constraints``, as for the three below.
        no_repeat_ngram: n of the n-grams that may not come twice.
        forbidden: sequences of tokens; words, in a yaml.
        eos_threshold: how well <eos> must do against the best other token.
    """

    def __init__(
        self,
        max_length: int = 200,
        max_length_ratio: float | None = None,
        min_length: int = 0,
        no_repeat_ngram: int = 0,
        forbidden: Sequence[Sequence[int]] = (),
        eos_threshold: float | None = None,
    ) -> None:
        self.limits = LengthLimits(max_length, max_length_ratio)
        self.constraints = Constraints(min_length, no_repeat_ngram, forbidden, eos_threshold)

    @torch.no_grad()
    def __call__(self, decoder: Decoder, memory: Memory) -> list[list[Hypothesis]]:
        """For every source a list of one hypothesis, as every search gives them.

        Args:
            decoder: in evaluation mode.
            memory: of B sources.
        """
        return roll_out(decoder, memory, 1, lambda log_probs, step: log_probs.argmax(-1), self.limits, self.constraints)
