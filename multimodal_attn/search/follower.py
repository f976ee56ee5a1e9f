"""What scorers and rules have in common: they follow the rows of a search from token to token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import Memory


@dataclass
class Step:
    """What is known when the next token of every row is chosen.

    Attributes:
        number: of the step; 0 chooses the first token.
        token: (B, K) the last token of each row.
        history: (B, K, number + 1) all of them, <bos> first; None unless a follower ``needs_history``.
        attention: of this step, with weights (B, K, N, S).
        totals: (B, K) weighted log probability of each row so far, minus infinity for one that is given up; 0 in
            searches whose rows do not compete.
        normalizer: (B, K) what the scores (B, K, V) that rules see exceed log probabilities by.
    """

    number: int
    token: Tensor
    history: Tensor | None
    attention: AttentionStep
    totals: Tensor
    normalizer: Tensor | float = 0.0


class Follower:
    """Follows the rows of a search.

    The arguments of its constructor are keys of ``search`` in the configuration, which its yaml lists.

    Attributes:
        active: False for one whose settings turn it off: searches leave it out.
        needs_history: whether it reads ``Step.history``.
    """

    active: bool = True
    needs_history: bool = False

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        """Called once, before the first batch: turns words into tokens, for example.

        Raises:
            ValueError: if the model or its vocabulary lacks what is needed.
        """

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        """The follower of one batch: itself, or a copy if it has to remember something of the rows.

        Args:
            model: in evaluation mode.
            memory: of B sources.
            rows: K, of each source.
        """
        return self

    def advance(self, origins: Tensor, tokens: Tensor) -> None:
        """Row k becomes what row ``origins[b, k]`` was, followed by ``tokens[b, k]``.

        Shapes:
            origins: (B, K). tokens: (B, K).
        """
