"""Several runs as one that predicts what they predict together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multimodal_attn.models.ensemble import Ensemble
from multimodal_attn.prediction.checkpoint import Run, load

# Of the data: what a source looks like when an encoder gets it.
_SOURCE_KEYS = ("image_size", "fit", "sample_rate", "source_language", "target_language")


def load_together(
    run: str | Path,
    others: Sequence[str | Path],
    checkpoint: str = "best",
    overrides: dict[str, Any] | None = None,
) -> Run:
    """The first run, with a model that is the ensemble of its own and the others'.

    Args:
        run: folder of the run that gives the configuration and the data, or a checkpoint file.
        others: of the further members; without any, the run as ``load`` gives it.
        checkpoint: "best" or "last", of every run.
        overrides: see ``load``.

    Raises:
        ValueError: if a run cannot be loaded, or does not write the tokens, or read the sources, of the first.
    """
    first = load(run, checkpoint, overrides)
    if not others:
        return first
    members = [first]
    for path in others:
        member = load(path, checkpoint)
        _check(first, member, path)
        members.append(member)
    if len({member.module.model.encoder.cache_fingerprint() for member in members}) > 1:
        first.config.data.cache_dir = None  # one encoder's features are not another's
    first.module.model = Ensemble([member.module.model for member in members])
    return first


def _check(first: Run, other: Run, path: str | Path) -> None:
    for key, own, theirs in (
        ("tokenizer", first.module.tokenizer, other.module.tokenizer),
        ("source_tokenizer", first.module.source_tokenizer, other.module.source_tokenizer),
    ):
        own_state, their_state = (None if t is None else (type(t), t.state()) for t in (own, theirs))
        if own_state != their_state:
            sizes = ["none" if t is None else f"{len(t)} tokens" for t in (own, theirs)]
            raise ValueError(
                f"ensemble: '{path}' has another {key} ({sizes[1]}) than '{first.folder}' ({sizes[0]}); expected runs"
                " trained on the same texts"
            )
    for key in _SOURCE_KEYS:
        own_value, their_value = first.config.data.get(key), other.config.data.get(key)
        if own_value != their_value:
            raise ValueError(
                f"ensemble: '{path}' has data.{key}={their_value}, '{first.folder}' {own_value}; expected runs that"
                " read the same sources"
            )
