"""The contract of language models.

They read whole texts in training (``forward``) and one token at a time in a search (``start``, ``step``); both give the
same logits. A new one is one file with one class like these and one yaml in ``conf/language_model``; the contract tests
find it by its yaml.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from multimodal_attn.masking import select_rows


@dataclass
class LanguageState:
    """What the tokens so far leave for the next step.

    Attributes:
        tensors: each (B, K, ...).
    """

    tensors: list[Tensor]

    def select(self, index: Tensor) -> LanguageState:
        """See ``select_rows``."""
        return LanguageState([select_rows(tensor, index) for tensor in self.tensors])


class LanguageModel(nn.Module, ABC):
    """Predicts each next token of a text. Constructors take ``vocab_size`` by keyword."""

    def pretrained_parameters(self) -> list[tuple[list[nn.Parameter], float | None]]:
        """As in ``Seq2Seq``: none."""
        return []

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """The logits of what follows each token.

        Shapes:
            tokens: (R, T) int64 from <bos> on; padding only at the end. Returns (R, T, V).
        """

    def layer_weights(self, tokens: Tensor) -> list[Tensor]:
        """The weights of every layer of self-attention, first to last; empty for models without.

        Shapes:
            As in ``forward``. Returns (R, N, T, T) each: what each token reads of those up to itself.
        """
        return []

    @abstractmethod
    def start(self, batch: int, rows: int) -> LanguageState:
        """The state before the first token of ``rows`` rows for each of ``batch`` sources."""

    @abstractmethod
    def step(self, token: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        """Reads one token per row.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V) and the new state.
        """
