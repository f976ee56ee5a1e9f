"""Self-attention with several heads (Vaswani et al. 2017, section 3.2.2), normalized first (Xiong et al. 2020).

``forward`` holds no weights where there are many: torch's fused attention makes the product. ``weights`` is its
definition, for whoever asks; a test holds both equal.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.kernels import in_use
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.distance_bias import DistanceBias
from multimodal_attn.models.layers.heads import attend, head_weights, join_heads, split_heads
from multimodal_attn.models.layers.rotary import rotate

RelativePositions = Literal["rotary", "relative"]
"""Queries and keys that are rotated by their positions, or a bias for every distance."""


class SelfAttention(nn.Module):
    """What a layer adds to its input: norm, attention between all positions, projection, dropout.

    With a window, position p reads p - window to p + window. Queries are cut into blocks as long as the window, each of
    which meets three blocks of keys (as in Beltagy et al. 2020, appendix A): time and memory grow with the length of
    the source and not with its square. With kernels turned off, the whole matrix is masked instead.

    Args:
        dim: width of the layer.
        num_heads: N; divides ``dim``.
        dropout: on the weights and on what comes out.
        positions: how distances come into the scores; None where the input holds its positions.
        window: how many positions to either side are read; None reads all.

    Raises:
        ValueError: if the widths do not fit.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        dropout: float,
        positions: RelativePositions | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__()
        self.rotary = positions == "rotary"
        if dim % (num_heads * (1 + self.rotary)):
            multiple = f"2 * encoder.num_heads={2 * num_heads}" if self.rotary else f"encoder.num_heads={num_heads}"
            raise ValueError(f"encoder.hidden_dim: {dim}; expected a multiple of {multiple}")
        self.num_heads, self.window = num_heads, window
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)
        self.bias = DistanceBias(num_heads) if positions == "relative" else None
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Reads x (B, S, dim) into (B, S, dim).

        Args:
            x: the input.
            seen: (B, 1, 1, S) bool, which positions are read; without a window it may be (B, 1, S, S), who reads whom.
        """
        query, key, value = self._inputs(x)
        # A source within one window has no block to spare.
        if self.window is not None and in_use() and x.shape[1] > self.window + 1:
            attended = self._attend_near(query, key, value, seen[:, 0, 0], self.window)
        else:
            attended = self._attend(query, key, value, *self._who(seen, x))
        return self.dropout(self.output(join_heads(attended)))

    def weights(self, x: Tensor, seen: Tensor) -> Tensor:
        """The weights in ``forward``, without dropout. With a window, padding reads itself.

        Shapes:
            As in ``forward``. Returns (B, N, S, S).
        """
        query, key, _ = self._inputs(x)
        seen, distances = self._who(seen, x)
        return head_weights(query, key, seen, None if self.bias is None or distances is None else self.bias(distances))

    def _who(self, seen: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Who reads whom, and how far they are apart, (S, S), where anything depends on it."""
        if self.window is None and self.bias is None:
            return seen, None
        places = torch.arange(x.shape[1], device=x.device)
        distances = places - places[:, None]
        return (seen if self.window is None else _within(seen, distances, self.window)), distances

    def _inputs(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (B, N, S, head) each."""
        parts = self.project(self.norm(x)).chunk(3, dim=-1)
        query, key, value = (split_heads(part, self.num_heads) for part in parts)
        return (rotate(query), rotate(key), value) if self.rotary else (query, key, value)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, seen: Tensor, distances: Tensor | None) -> Tensor:
        """What is read; ``seen`` says who reads whom, ``distances`` (T, S) how far they are apart."""
        bias = None if self.bias is None or distances is None else self.bias(distances)
        return attend(query, key, value, seen, bias, self.dropout)

    def _attend_near(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, window: int) -> Tensor:
        """The same block by block, blocks in place of sources."""
        batch, _, size, _ = query.shape
        missing = -size % window
        blocks = functional.pad(query, (0, 0, 0, missing)).unflatten(2, (-1, window)).transpose(1, 2)
        near = [
            functional.pad(part, (0, 0, window, missing + window)).unfold(2, 3 * window, window).permute(0, 2, 1, 4, 3)
            for part in (key, value)
        ]  # (B, blocks, N, 3 * window, head) each
        real = functional.pad(mask, (window, missing + window)).unfold(1, 3 * window, window)[:, :, None]
        own = torch.arange(window, device=mask.device)[:, None]
        distances = torch.arange(-window, 2 * window, device=mask.device) - own
        seen = _within(real, distances, window)
        query, key, value, seen = (part.flatten(0, 1) for part in (blocks, *near, seen[:, :, None]))
        attended = self._attend(query, key, value, seen, distances).unflatten(0, (batch, -1))
        return attended.transpose(1, 2).flatten(2, 3)[:, :, :size]


def _within(seen: Tensor, distances: Tensor, window: int) -> Tensor:
    """What is seen within the window. Padding reads itself: a row that reads nothing would be NaN."""
    return (seen & (distances.abs() <= window)) | (distances == 0)
