"""The weights of a model's layers of self-attention for one example, measured and made small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.evaluation.attention.heads import measure_head
from multimodal_attn.evaluation.attention.rollout import decoder_rollout, self_rollout
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.self_attention import CELLS, Reads, SelfAttention, cells_of
from multimodal_attn.types import BOS, Example

LONGEST = 2000
"""Positions of a source: beyond, the weights of all heads would take gigabytes."""


@torch.no_grad()
def self_attention(predictor: Predictor, example: Example, prediction: Prediction) -> SelfAttention | None:
    """What the layers read when the source is encoded and the best text is written, token by token.

    None for a model without such layers, a text without words, and a source of more than ``LONGEST`` positions.

    Args:
        predictor: of one model, not of several.
        example: with its source as it is.
        prediction: the best text of this example.
    """
    model, tokens = predictor.model, prediction.token_ids
    size = prediction.weights.shape[-1]
    if not prediction.word_tokens or size > LONGEST:
        return None
    with evaluating(model):
        batch = predictor.collate([example])
        encoder = model.encoder.layer_weights(batch.source, batch.source_lengths)
        read = torch.tensor([[[BOS, *tokens[:-1]]]], device=predictor.device)
        decoder = model.decoder.layer_weights(read, model.encode(batch))
    if not encoder and not decoder:
        return None
    reads = []
    if encoder:
        extra = encoder[0].shape[-1] - size
        reads.append(reads_of("encoder", [layer[0] for layer in encoder], cells_of(prediction.layout, size), extra))
    if decoder:
        reads.append(reads_of("decoder", [layer.among_tokens[0, 0] for layer in decoder], (1, len(tokens))))
    # A decoder without such layers is one step, its map; an encoder without them leaves cells as they are.
    maps = prediction.weights.mean(axis=1)
    if decoder:
        maps = decoder_rollout(decoder)[0, 0, :, :size].float().cpu().numpy()
    rollout = np.stack([maps[first:stop].mean(axis=0) for _, first, stop in prediction.word_tokens])
    if encoder:
        rollout = rollout @ self_rollout(encoder)[0, -size:, -size:].float().cpu().numpy()
    return SelfAttention(reads, rollout.astype(np.float32))


def reads_of(
    part: Literal["encoder", "decoder"], layers: Sequence[Tensor], shape: tuple[int, int], extra: int = 0
) -> Reads:
    """The weights of all layers of a part, measured, and pooled to ``CELLS``.

    Args:
        part: whose layers they are.
        layers: (N, C, C) each, of one example without padding.
        shape, extra: as in ``Reads``.
    """
    weights = [layer.float().cpu().numpy() for layer in layers]
    heads = [[measure_head(head, shape, extra, part == "decoder") for head in layer] for layer in weights]
    return Reads(part, weights, heads, shape, extra).pooled(CELLS)
