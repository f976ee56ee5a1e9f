"""What decoders of several layers check of their numbers."""

from __future__ import annotations

from multimodal_attn.models.layers.self_attention_layers import Positions


def layer_to_report(index: int, num_layers: int, hidden_dim: int, num_heads: int, positions: Positions) -> int:
    """The layer whose attention is reported, from 0 on.

    Args:
        index: of the layer; negative from the end.
        num_layers: of the decoder.
        hidden_dim: of its layers; even, for the positions that are added, and a multiple of ``num_heads``.
        num_heads: of each layer.
        positions: how its layers know them.

    Raises:
        ValueError: if a number does not fit the others.
    """
    if hidden_dim % num_heads or hidden_dim % 2:
        raise ValueError(
            f"decoder.hidden_dim: {hidden_dim}; expected an even multiple of decoder.num_heads ({num_heads})"
        )
    if positions == "rotary" and hidden_dim % (2 * num_heads):
        raise ValueError(
            f"decoder.hidden_dim: {hidden_dim}; expected a multiple of 2 * decoder.num_heads={2 * num_heads}"
        )
    if not -num_layers <= index < num_layers:
        raise ValueError(f"decoder.reported_layer: {index}; expected 0 to {num_layers - 1}, or -1 for the last")
    return index % num_layers
