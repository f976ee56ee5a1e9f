"""The contract of searches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Positive, TextLength
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.types import Hypothesis, Memory


class Search(ABC):
    """Writes texts from memories. A new one is one file with one class like this and one yaml in ``conf/search``.

    Args:
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit. A
            recording of one second does not hold a hundred words: this bounds a text that repeats itself.
        rules: on what texts hold, in this order.

    Raises:
        ValueError: for a rule on rows that compete, in a search that has none.
    """

    has_beam: bool = False
    """Whether rows of a source compete."""

    def __init__(
        self, max_length: TextLength = 200, max_length_ratio: Positive | None = None, rules: Sequence[Rule] = ()
    ) -> None:
        self.max_length, self.max_length_ratio = max_length, max_length_ratio
        self.rules = [rule for rule in rules if rule.active]
        if wrong := [rule for rule in self.rules if rule.needs_beam and not self.has_beam]:
            raise ValueError(f"search.{wrong[0]}; expected none, or search=beam")

    @abstractmethod
    def __call__(self, model: Seq2Seq, memory: Memory, keys: Sequence[str] | None = None) -> list[list[Hypothesis]]:
        """For every source its hypotheses, best first and at least one.

        Args:
            model: in evaluation mode.
            memory: of B sources, as the model encodes it.
            keys: of the sources, which random draws depend on; without them, on their places in the batch.
        """

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        """Called once, before the first batch.

        Raises:
            ValueError: if the model or its vocabulary lacks what a part needs.
        """
        for rule in self.rules:
            rule.prepare(model, tokenizer)

    def limits(self, memory: Memory) -> Tensor:
        """After how many tokens each source's texts are cut off, (B,) int64."""
        limits = torch.full((len(memory.mask),), self.max_length, device=memory.mask.device)
        if self.max_length_ratio is not None:
            limits = limits.minimum((memory.mask.sum(1) * self.max_length_ratio).ceil().long().clamp(min=1))
        return limits
