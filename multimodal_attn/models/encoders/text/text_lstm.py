"""Annotations: a bidirectional LSTM over the tokens of a text (Bahdanau et al. 2015, section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.text.base import TextEncoder
from multimodal_attn.models.kernels.bidirectional import BidirectionalLSTM
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import Memory


class TextLSTM(TextEncoder):
    """Each memory position has read the text up to its token from the left, and from the right.

    The paper has one layer of gated recurrent units.

    Args:
        vocab_size: of the source's tokenizer.
        embedding_dim: width of an embedding.
        hidden_dim: width of each direction; the memory is twice as wide.
        num_layers: of both directions.
        dropout: before each layer and on the memory.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: Count,
        hidden_dim: Count,
        num_layers: Layers = 1,
        dropout: DropoutRate = 0.2,
    ) -> None:
        super().__init__(vocab_size, embedding_dim)
        widths = [embedding_dim] + [2 * hidden_dim] * (num_layers - 1)
        self.layers = nn.ModuleList(BidirectionalLSTM(width, hidden_dim) for width in widths)
        self.dropout = Dropout(dropout)
        self.dim = 2 * hidden_dim

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        """Reads ``lengths`` (B,) of the tokens (B, S); states are (B, S, 2 * hidden)."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(self.dropout(x), lengths)
        mask = length_mask(lengths, tokens.shape[1])
        return Memory(self.dropout(x) * mask[..., None], mask, self.layout)
