"""Several predictors as one that predicts what they predict together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from multimodal_attn.models.ensemble import Ensemble
from multimodal_attn.prediction.predictor import Predictor


def together(predictors: Sequence[Predictor]) -> Predictor:
    """The first predictor, with a model that is the ensemble of its own and the others'.

    Raises:
        ValueError: if one does not write the tokens, or read the sources, of the first.
    """
    first, *others = predictors
    if not others:
        return first
    for other in others:
        _check(first, other)
    model = Ensemble([predictor.model for predictor in predictors])
    return replace(first, model=model, temperature=None)


def _check(first: Predictor, other: Predictor) -> None:
    for key, own, theirs in (
        ("tokenizer", first.tokenizer, other.tokenizer),
        ("source_tokenizer", first.source_tokenizer, other.source_tokenizer),
    ):
        own_state, their_state = (None if t is None else (type(t), t.state()) for t in (own, theirs))
        if own_state != their_state:
            kinds = ["none" if t is None else f"{type(t).__name__} of {len(t)} tokens" for t in (own, theirs)]
            raise ValueError(
                f"ensemble: '{other.name}' has another {key} ({kinds[1]}) than '{first.name}' ({kinds[0]}); expected"
                " runs trained on the same texts with the same tokenizer"
            )
    own_reader, their_reader = ((type(predictor.reader), vars(predictor.reader)) for predictor in (first, other))
    if own_reader != their_reader:
        raise ValueError(
            f"ensemble: '{other.name}' reads a {other.reader.modality} with {their_reader[1]}, '{first.name}' a"
            f" {first.reader.modality} with {own_reader[1]}; expected runs that read the same sources"
        )
