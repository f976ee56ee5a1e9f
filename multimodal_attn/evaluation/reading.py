"""What a language model expects at each word of a text, and what its layers read there."""

from __future__ import annotations

import numpy as np
import torch

from multimodal_attn.data.tokenizers import SPECIAL_PIECES
from multimodal_attn.evaluation.attention.rollout import self_rollout
from multimodal_attn.evaluation.attention.self_attention import LONGEST, reads_of
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.prediction.prediction import Prediction, pieces_shown
from multimodal_attn.prediction.self_attention import SelfAttention
from multimodal_attn.prediction.writer import Writer
from multimodal_attn.types import BOS, UNK, TokenAxis

START = "\u27e8start\u27e9"
"""What is shown for the token before a text."""


@torch.no_grad()
def read_text(writer: Writer, key: str, text: str, candidates: int = 5) -> Prediction:
    """A text as a language model reads it, token by token.

    The source is what was read to tell each token: the beginning, and all tokens but the last. The maps are the weights
    of the last layer's heads, all zero for a model without self-attention.

    Args:
        writer: with the model.
        key: of the text.
        text: in the words of the model's vocabulary; others are read as <unk>.
        candidates: how many likely tokens to give for the beginning of each word.

    Raises:
        ValueError: for a text without a token.
    """
    tokens = writer.tokenizer.encode(text)
    if not tokens:
        raise ValueError(f"text: {text!r} has no token; expected at least one")
    read = torch.tensor([[BOS, *tokens[:-1]]], device=writer.device)
    with evaluating(writer.model):
        log_probs = writer.model(read)[0].float().log_softmax(-1).cpu()
        layers = [each[0].float().cpu() for each in writer.model.layer_weights(read)] if len(tokens) <= LONGEST else []
    pieces = pieces_shown(text, writer.tokenizer)
    shown = writer.tokenizer.decode(tokens)
    words = [
        (pieces[first] if UNK in tokens[first:stop] and writer.tokenizer.whole_words else word, first, stop)
        for word, (first, stop) in zip(shown.split(), writer.tokenizer.word_spans(tokens), strict=True)
    ]
    kept = None
    if layers and words:
        flow = self_rollout(layers).numpy()
        rollout = np.stack([flow[first:stop].mean(axis=0) for _, first, stop in words])
        kept = SelfAttention([reads_of("decoder", layers, (1, len(tokens)))], rollout)
    values = log_probs[range(len(tokens)), tokens].tolist()
    weights = layers[-1].transpose(0, 1) if layers else torch.zeros(len(tokens), 1, len(tokens))
    log_probs[:, : len(SPECIAL_PIECES)] = -torch.inf  # no word
    best = log_probs.topk(min(candidates, log_probs.shape[1] - len(SPECIAL_PIECES)))
    offered = [
        list(zip(writer.tokenizer.pieces(best.indices[first].tolist()), best.values[first].exp().tolist(), strict=True))
        for _, first, _ in words
    ]
    return Prediction(
        key=key,
        source=np.array([START, *pieces[:-1]]),
        layout=TokenAxis(),
        tokens=pieces,
        word_tokens=words,
        weights=weights.numpy(),
        text=shown,
        references=[],
        score=sum(values) / len(values),
        flags=[],
        log_probs=values,
        candidates=offered,
        token_ids=tokens,
        self_attention=kept,
        given=True,
    )
