"""Layers of self-attention over speech or text (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class SelfAttentionLayers(nn.Module):
    """torch's encoder layers, normalized before each part (Xiong et al. 2020), with a last norm.

    Args:
        hidden_dim: width of the layers; even, for the positions that are added to what they read.
        num_layers: how many.
        num_heads: of each layer; divides ``hidden_dim``.
        feedforward_factor: the inner width of a layer's perceptron, in hidden_dims.
        dropout: in the layers.

    Raises:
        ValueError: if the widths do not fit.
    """

    def __init__(
        self, hidden_dim: int, num_layers: int, num_heads: int, feedforward_factor: int, dropout: float
    ) -> None:
        super().__init__()
        if hidden_dim % num_heads or hidden_dim % 2:
            raise ValueError(
                f"encoder.hidden_dim: {hidden_dim}; expected an even multiple of encoder.num_heads={num_heads}"
            )
        layer = nn.TransformerEncoderLayer(
            hidden_dim, num_heads, feedforward_factor * hidden_dim, dropout, batch_first=True, norm_first=True
        )
        self.stack = nn.TransformerEncoder(layer, num_layers, nn.LayerNorm(hidden_dim), enable_nested_tensor=False)
        for parameter in self.stack.parameters():
            # Copies of one layer start out equal: each gets its own draw.
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Shapes:
        x: (B, S, hidden). mask: (B, S). Returns (B, S, hidden).
        """
        return self.stack(x, src_key_padding_mask=~mask)

    def weights(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """The weights of every layer, averaged over heads.

        Shapes:
            As in ``forward``. Returns (B, S, S) each.
        """
        found = []
        for layer in cast(list[nn.TransformerEncoderLayer], self.stack.layers):
            normed = layer.norm1(x)
            found.append(layer.self_attn(normed, normed, normed, key_padding_mask=~mask)[1])
            x = layer(x, src_key_padding_mask=~mask)
        return found
