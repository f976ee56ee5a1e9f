"""What one step of a decoder with LSTM layers leaves for the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from multimodal_attn.masking import select_rows


@dataclass
class DecoderState:
    """States of the layers and of attention.

    Attributes:
        hidden: of each layer (B, K, H).
        cell: of each layer (B, K, H).
        context: (B, K, D) what attention last gave.
        attention: the mechanism's own state (B, K, ...), or None.
    """

    hidden: list[Tensor]
    cell: list[Tensor]
    context: Tensor
    attention: Tensor | None

    def _map(self, function: Callable[[Tensor], Tensor]) -> DecoderState:
        attention = None if self.attention is None else function(self.attention)
        return DecoderState(
            [function(h) for h in self.hidden], [function(c) for c in self.cell], function(self.context), attention
        )

    def select(self, index: Tensor) -> DecoderState:
        """See ``select_rows``."""
        return self._map(lambda tensor: select_rows(tensor, index))

    def first(self, sources: int) -> DecoderState:
        """The first ``sources`` sources, as views."""
        return self._map(lambda tensor: tensor[:sources])
