"""Self-attention over the tokens of a text (Vaswani et al. 2017)."""

from __future__ import annotations

import math

from torch import Tensor

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.text.base import TextEncoder
from multimodal_attn.models.layers.self_attention_layers import Positions, SelfAttentionLayers
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import Memory


class TextTransformer(TextEncoder):
    """Layers of self-attention, normalized before each part (Xiong et al. 2020), over the embeddings of tokens.

    Args:
        vocab_size: of the source's tokenizer.
        hidden_dim: width of the embeddings, the layers and the memory.
        num_layers: of self-attention.
        num_heads: of each layer; divides ``hidden_dim``.
        feedforward_factor: the inner width of a layer's perceptron, in hidden_dims.
        dropout: in the layers and on the embeddings.
        positions: sines and cosines that are added to the embeddings, rotated queries and keys ("rotary"), or a bias
            for every distance ("relative").
        window: how many tokens to either side a token reads in a layer; None reads all, which takes memory with the
            square of the source's length.

    Raises:
        ValueError: if the widths do not fit.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_dim: Count = 256,
        num_layers: Layers = 3,
        num_heads: Count = 4,
        feedforward_factor: Count = 4,
        dropout: DropoutRate = 0.1,
        positions: Positions = "sinusoidal",
        window: Count | None = None,
    ) -> None:
        super().__init__(vocab_size, hidden_dim)
        self.layers = SelfAttentionLayers(
            hidden_dim, num_layers, num_heads, feedforward_factor, dropout, positions, window
        )
        # Times sqrt(hidden_dim) (section 3.4), they are as large as the positions.
        self.embedding.weight.data.mul_(hidden_dim**-0.5)
        self.dim = hidden_dim

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        """Reads ``lengths`` (B,) of the tokens (B, S); states are (B, S, hidden)."""
        mask = length_mask(lengths, tokens.shape[1])
        return Memory(self.layers(self._embed(tokens), mask) * mask[..., None], mask, self.layout)

    def layer_weights(self, tokens: Tensor, lengths: Tensor) -> list[Tensor]:
        """As in ``Encoder``, with P = S."""
        return self.layers.weights(self._embed(tokens), length_mask(lengths, tokens.shape[1]))

    def _embed(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = math.sqrt(self.dim) * self.embedding(tokens)
        return embedded
