"""Attention rollout: what a token reads through all layers of self-attention (Abnar & Zuidema 2020, section 3).

A layer adds what it attends to to what comes in, so half of a state is taken to be its own and half what its weights
say; the layers' matrices are multiplied. Nothing but attention is followed: convolutions mix neighboring steps too,
perceptrons and values weigh what was read.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.evaluation.faithfulness.attribution import Words
from multimodal_attn.models.decoders.base import Decoder, LayerWeights
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import Batch, Memory


def self_rollout(layers: Sequence[Tensor]) -> Tensor:
    """The product of ``0.5 I + 0.5 A`` over the layers, the last on the left (equation 1); A is the mean of heads.

    Shapes:
        layers: (..., N, P, P) each, rows that sum to 1. Returns (..., P, P): row p says what position p of the last
        layer is made of.
    """
    flow = torch.eye(layers[0].shape[-1], dtype=layers[0].dtype, device=layers[0].device)
    for weights in layers:
        flow = 0.5 * (flow + weights.mean(-3) @ flow)
    return flow


def decoder_rollout(layers: Sequence[LayerWeights]) -> Tensor:
    """What each token is made of, as far as it comes from the memory: the rest of each row comes from the tokens.

    A layer reads twice, first the tokens and then the memory, and each time half of the state stays its own. One that
    reads both at once reads memory positions as the layers before have made them.

    Shapes:
        Returns (..., T, S).
    """
    flow = torch.zeros_like(layers[0].memory[..., 0, :, :])
    read = torch.eye(flow.shape[-1], dtype=flow.dtype, device=flow.device)  # what memory positions are made of
    for weights in layers:
        tokens, memory = weights.tokens.mean(-3) @ flow, weights.memory.mean(-3)
        if weights.prefix is None:
            flow = 0.5 * (0.5 * (flow + tokens) + memory)
        else:
            flow = 0.5 * (flow + tokens + memory @ read)
            read = 0.5 * (read + weights.prefix.mean(-3)[:, None] @ read)
    return flow


def memory_rollout(decoder: Decoder, memory: Memory, words: Words) -> Tensor | None:
    """What each word is made of: the mean over the steps that predict its tokens. None for a decoder without layers.

    Args:
        decoder: in evaluation mode.
        memory: a source for each word.
        words: R of them.

    Shapes:
        memory.states: (R, S, D). Returns (R, S).
    """
    layers = decoder.layer_weights(words.tokens[:, None, :-1], memory)
    if not layers:
        return None
    inside = words.inside / words.inside.sum(1, keepdim=True)
    return torch.einsum("rt,rts->rs", inside, decoder_rollout(layers)[:, 0])


def input_rollout(model: Seq2Seq, batch: Batch, memory: Memory, words: Words, maps: Tensor) -> Tensor | None:
    """What each word is made of at the encoder's first layer: through those of the decoder and of the encoder.

    Where only one of both has layers of self-attention the other is one step: the decoder's attention map, or an
    encoder whose cells speak of their own region alone. None if neither has.

    Args:
        model: in evaluation mode.
        batch: R sources as they are, not encoded.
        memory: of the same sources.
        words: R of them.
        maps: their attention.

    Shapes:
        maps: (R, S). Returns (R, S).
    """
    cells = memory_rollout(model.decoder, memory, words)
    layers = model.encoder.layer_weights(batch.source, batch.source_lengths)
    if not layers:
        return cells
    flow = self_rollout(layers)[:, -maps.shape[1] :, -maps.shape[1] :]
    return torch.einsum("rs,rsp->rp", (maps if cells is None else cells).to(flow), flow)
