"""A block of a decoder-only transformer (Radford et al. 2019), for language models and for decoders with a prefix."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from multimodal_attn.masking import masked_softmax
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.distance_bias import DistanceBias
from multimodal_attn.models.layers.heads import attend, head_weights, join_heads, split_heads
from multimodal_attn.models.layers.rotary import rotate
from multimodal_attn.models.layers.self_attention import RelativePositions


class Followed(NamedTuple):
    """What a block makes of tokens that follow a prefix.

    Attributes:
        hidden: (B, K, T, dim).
        seen: keys and values of all tokens so far, (B, K, t + T, 2 * dim).
        context: what the tokens took from the prefix, (B, K, T, dim).
        weights: on the prefix, (B, K, T, N, S); what they lack to 1 went to the tokens.
        own_weights: on the tokens, (B, K, N, T, t + T).
    """

    hidden: Tensor
    seen: Tensor
    context: Tensor
    weights: Tensor
    own_weights: Tensor


class CausalBlock(nn.Module):
    """Self-attention, then a perceptron four times as wide; each is normalized first and adds to what comes in.

    Args:
        dim: width of what comes in and out.
        num_heads: N, a divisor of ``dim``; with rotary positions the heads have an even width.
        dropout: before each sum.
        positions: how distances come into the scores; None where the input holds its positions. A bias is for distances
            among tokens, and within a prefix; rotated queries and keys count both from their beginnings.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float, positions: RelativePositions | None = None) -> None:
        super().__init__()
        self.num_heads, self.rotary = num_heads, positions == "rotary"
        self.bias = DistanceBias(num_heads) if positions == "relative" else None
        self.norm_attention, self.norm_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key_value, self.output = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = Dropout(dropout)

    def project(self, hidden: Tensor) -> Tensor:
        """Keys and values, (..., T, 2 * dim), of (..., T, dim)."""
        return self._keys_values(self.norm_attention(hidden), 0)

    def forward(
        self, hidden: Tensor, seen: Tensor | None = None, visible: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A whole text, its next token where ``seen`` holds the earlier ones, or what may be read in any order.

        Shapes:
            hidden: (R, T, dim). seen: (R, t, 2 * dim) keys and values. visible: (R, T), which of T positions all others
            see; None for each token seeing those before it. Returns hidden and what is seen now.
        """
        normed = self.norm_attention(hidden)
        first = 0 if seen is None else seen.shape[1]
        now = self._keys_values(normed, first)
        seen_now = now if seen is None else torch.cat([seen, now], dim=1)
        query = self._queries(normed, first)
        key, value = (split_heads(part, self.num_heads) for part in seen_now.chunk(2, dim=-1))
        new, total = hidden.shape[1], key.shape[2]
        mask = _causal(new, total, hidden) if visible is None else visible[:, None, None]
        bias = None if self.bias is None else self.bias.of_last(new, total)
        attended = attend(query, key, value, mask, bias)
        return self._finish(hidden, self.output(join_heads(attended))), seen_now

    def weights(self, hidden: Tensor, visible: Tensor | None = None) -> Tensor:
        """The weights in ``forward`` of a whole text, or of what may be read in any order.

        Shapes:
            As in ``forward``. Returns (R, N, T, T).
        """
        normed = self.norm_attention(hidden)
        key, _ = self._keys_values(normed, 0).chunk(2, dim=-1)
        size = hidden.shape[1]
        mask = _causal(size, size, hidden) if visible is None else visible[:, None, None]
        bias = None if self.bias is None else self.bias.of_last(size, size)
        return head_weights(self._queries(normed, 0), split_heads(key, self.num_heads), mask, bias)

    def follow(self, hidden: Tensor, seen: Tensor, prefix: Tensor, visible: Tensor) -> Followed:
        """T new tokens of each of K rows, after those in ``seen`` and after a prefix that the rows share.

        Shapes:
            hidden: (B, K, T, dim). seen: (B, K, t, 2 * dim). prefix: (B, S, 2 * dim), of ``project``. visible: (B, S).
        """
        normed = self.norm_attention(hidden)
        first = seen.shape[2]
        seen_now = torch.cat([seen, self._keys_values(normed, first)], dim=2)
        query = self._queries(normed, first) * (normed.shape[-1] // self.num_heads) ** -0.5  # (B, K, N, T, head)
        key, value = (split_heads(part, self.num_heads) for part in seen_now.chunk(2, dim=-1))  # (B, K, N, t + T, head)
        prefix_key, prefix_value = (split_heads(part, self.num_heads) for part in prefix.chunk(2, dim=-1))
        rows, new, total, size = hidden.shape[1], hidden.shape[2], key.shape[3], prefix.shape[1]
        # All tokens of all rows are queries of one product: the prefix is not copied for them.
        together = query.transpose(1, 2).flatten(2, 3)  # (B, N, K * T, head)
        on_prefix = (together @ prefix_key.transpose(2, 3)).unflatten(2, (rows, new)).transpose(1, 2)
        between = query @ key.transpose(3, 4)
        if self.bias is not None:
            between = between + self.bias.of_last(new, total)
        scores = torch.cat([on_prefix, between], dim=-1)
        causal = _causal(new, total, hidden)
        mask = torch.cat(
            [visible[:, None].expand(-1, new, -1), causal.expand(len(hidden), -1, -1)], dim=-1
        )  # (B, T, S + t + T)
        weights = masked_softmax(scores, mask[:, None, None])
        read = weights[..., :size].transpose(1, 2).flatten(2, 3) @ prefix_value  # (B, N, K * T, head)
        context = join_heads(read).unflatten(1, (rows, new))
        own = weights[..., size:]
        hidden = self._finish(hidden, self.output(context + join_heads(own @ value)))
        return Followed(hidden, seen_now, context, weights[..., :size].transpose(2, 3), own)

    def _queries(self, normed: Tensor, first: int) -> Tensor:
        """(..., N, T, head) of the positions from ``first`` on."""
        query = split_heads(self.query(normed), self.num_heads)
        return rotate(query, first) if self.rotary else query

    def _keys_values(self, normed: Tensor, first: int) -> Tensor:
        """(..., T, 2 * dim) of the positions from ``first`` on."""
        projected: Tensor = self.key_value(normed)
        if not self.rotary:
            return projected
        key, value = projected.chunk(2, dim=-1)
        return torch.cat([join_heads(rotate(split_heads(key, self.num_heads), first)), value], dim=-1)

    def _finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        hidden = hidden + self.dropout(attended)
        summed: Tensor = hidden + self.dropout(self.feed_forward(self.norm_forward(hidden)))
        return summed


def _causal(new: int, total: int, like: Tensor) -> Tensor:
    """Which of all tokens each of the last ones sees: those before it and itself, (new, total)."""
    return torch.ones(new, total, dtype=torch.bool, device=like.device).tril(total - new)
