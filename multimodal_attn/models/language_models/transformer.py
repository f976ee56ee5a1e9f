"""A language model of causal self-attention (Vaswani et al. 2017), normalized first as in Radford et al. 2019."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.language_models.base import LanguageModel, LanguageState
from multimodal_attn.models.layers.causal_block import CausalBlock
from multimodal_attn.models.layers.self_attention_layers import Positions, within_layers
from multimodal_attn.models.layers.sinusoids import sinusoids
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import PAD


class TransformerLanguageModel(LanguageModel):
    """No positions are learnt one by one, so that no text is too long.

    Args:
        vocab_size: V.
        dim: width of embeddings and layers.
        num_layers: blocks of self-attention and feed-forward layers.
        num_heads: must divide ``dim``.
        dropout: on embeddings and before each residual sum.
        positions: sines and cosines that are added to the embeddings (section 3.5), rotated queries and keys
            ("rotary"), or a bias for every distance ("relative").

    Raises:
        ValueError: if ``dim`` is odd, or ``num_heads`` does not divide it, with rotary positions twice.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: Count = 256,
        num_layers: Layers = 4,
        num_heads: Count = 4,
        dropout: DropoutRate = 0.1,
        positions: Positions = "sinusoidal",
    ) -> None:
        super().__init__()
        self.sinusoidal = positions == "sinusoidal"
        if dim % 2 or dim % num_heads:
            raise ValueError(f"language_model.num_heads: {num_heads}; expected a divisor of dim, {dim}, which is even")
        if positions == "rotary" and dim % (2 * num_heads):
            raise ValueError(
                f"language_model.dim: {dim}; expected a multiple of 2 * language_model.num_heads={2 * num_heads}"
            )
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=PAD)
        self.blocks = nn.ModuleList(
            CausalBlock(dim, num_heads, dropout, within_layers(positions)) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)
        self.vocabulary = nn.Linear(dim, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self._embed(tokens, first=0)
        for block in self.blocks:
            hidden, _ = block(hidden)
        return self.vocabulary(self.norm(hidden))

    def layer_weights(self, tokens: Tensor) -> list[Tensor]:
        """As in ``LanguageModel``. ``forward`` never holds the weights, so they are computed apart here."""
        hidden, found = self._embed(tokens, first=0), []
        for block in self.blocks:
            found.append(block.weights(hidden))  # type: ignore[operator]
            hidden, _ = block(hidden)
        return found

    def start(self, batch: int, rows: int) -> LanguageState:
        """Keys and values of no token yet: (B, K, 0, 2 * dim) for each block."""
        empty = self.vocabulary.weight.new_zeros(batch, rows, 0, 2 * self.embedding.embedding_dim)
        return LanguageState([empty] * len(self.blocks))

    def step(self, token: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        hidden = self._embed(token.flatten()[:, None], first=state.tensors[0].shape[2])  # (B * K, 1, dim)
        seen = []
        for block, before in zip(self.blocks, state.tensors, strict=True):
            hidden, after = block(hidden, before.flatten(0, 1))
            seen.append(after.unflatten(0, token.shape))
        return self.vocabulary(self.norm(hidden[:, 0])).unflatten(0, token.shape), LanguageState(seen)

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        """Embeddings (R, T, dim), with the sines and cosines of the positions from ``first`` on if they are added."""
        dim = self.embedding.embedding_dim
        embedded = self.embedding(tokens) * math.sqrt(dim)
        if self.sinusoidal:
            positions = torch.arange(first, first + tokens.shape[1], device=tokens.device)
            embedded = embedded + sinusoids(positions, dim)
        return self.dropout(embedded)
