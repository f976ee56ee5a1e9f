"""The rows of a search at work on one batch: the step that every search takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.masking import select_rows
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule, forbid_specials
from multimodal_attn.search.scorers.base import Scorer
from multimodal_attn.types import BOS, Memory


class Rows:
    """K texts of every source, written token by token.

    Args:
        model: in evaluation mode.
        memory: of B sources.
        rows: K.
        rules: on what they hold.
        scorers: beside the decoder.

    Attributes:
        rules, scorers: those of this batch.
    """

    def __init__(
        self, model: Seq2Seq, memory: Memory, rows: int, rules: Sequence[Rule], scorers: Sequence[Scorer] = ()
    ) -> None:
        self.rules = [rule.start(model, memory, rows) for rule in rules]
        self.scorers = [scorer.start(model, memory, rows) for scorer in scorers]
        self._followers = (*self.scorers, *self.rules)
        self._decoder = model.decoder
        self._source = model.decoder.prepare(memory)
        self._state = model.decoder.start(self._source, rows)
        self._number, device = 0, memory.mask.device
        self._token = torch.full((len(memory.mask), rows), BOS, device=device)
        needs_history = any(follower.needs_history for follower in self._followers)
        self._history = self._token[..., None] if needs_history else None
        self._in_place = torch.arange(rows, device=device).expand(len(memory.mask), -1)

    def step(self, totals: Tensor) -> tuple[Tensor, Step]:
        """The logits of the next tokens (B, K, V), which the caller may change, without what no text holds.

        Shapes:
            totals: (B, K), for ``Step``.
        """
        logits, self._state, attention = self._decoder.step(self._token, self._state, self._source)
        step = Step(self._number, self._token, self._history, attention, totals)
        return forbid_specials(logits), step

    def advance(self, tokens: Tensor, origins: Tensor | None = None) -> None:
        """Row k becomes what row ``origins[b, k]`` was, followed by ``tokens[b, k]``; without origins rows stay.

        Shapes:
            tokens: (B, K). origins: (B, K).
        """
        if origins is not None:
            self._state = self._state.select(origins)
        if self._history is not None:
            history = self._history if origins is None else select_rows(self._history, origins)
            self._history = torch.cat([history, tokens[..., None]], dim=-1)
        for follower in self._followers:
            follower.advance(self._in_place if origins is None else origins, tokens)
        self._token, self._number = tokens, self._number + 1
