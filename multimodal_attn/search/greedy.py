"""Greedy search: the most probable next token, every time, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.base import Search
from multimodal_attn.search.independent_texts import hypotheses, write
from multimodal_attn.types import Hypothesis, Memory


class GreedySearch(Search):
    """Takes the best token of every step.

    The score of a text is the mean log probability of its tokens, <eos> included. Arguments as in ``Search``.
    """

    @torch.no_grad()
    def __call__(self, model: Seq2Seq, memory: Memory, keys: Sequence[str] | None = None) -> list[list[Hypothesis]]:
        """For every source a list of one hypothesis; arguments as in ``Search``."""
        limits = self.limits(memory)
        written = write(model, memory, 1, lambda log_probs, number: log_probs.argmax(-1), limits, self.rules)
        return hypotheses(written, limits, model.decoder.gate_name)
