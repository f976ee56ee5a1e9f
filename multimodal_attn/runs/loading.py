"""Trained runs, loaded for prediction or for evaluation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.export.exported import is_exported, load_exported
from multimodal_attn.inspection.show import NotebookView
from multimodal_attn.prediction.checkpoint import Checkpoint, load_predictor, read_run
from multimodal_attn.prediction.confidence import read_temperature
from multimodal_attn.prediction.ensemble import together
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.processes import own_device
from multimodal_attn.runs.configuration import likely, select, update
from multimodal_attn.runs.data import build_data, from_here
from multimodal_attn.search.beam import BeamSearch


@dataclass
class Run:
    """A trained run, ready to be evaluated.

    Attributes:
        folder: where it lives.
        config: as it was trained, as plain containers.
        predictor: with the checkpoint's weights, in evaluation mode.
        data: its data sets; read only when asked for.
    """

    folder: Path
    config: dict[str, Any]
    predictor: Predictor
    data: DataModule


def load(
    run: str | Path,
    width: int = 5,
    ensemble: Sequence[str | Path] = (),
    checkpoint: str = "best",
    trust: Collection[str] = (),
    device: str | None = None,
) -> Predictor:
    """A predictor from a trained run; builds nothing that trains.

    Args:
        run: folder of a run, a checkpoint file, or an exported folder.
        width: of the beam that writes.
        ensemble: further runs, trained on the same texts, that predict together with it.
        checkpoint: "best" or "last" of the folder.
        trust: packages whose classes a checkpoint may name beside this one's, such as ``["mypkg"]``. They can do
            whatever you can: name only what you know.
        device: such as "cpu" or "cuda"; None for a GPU if there is one.

    Raises:
        ValueError: if there is no readable checkpoint, it names what is not trusted, or the runs do not go together.
    """
    loaded = []
    for path in (run, *ensemble):
        if is_exported(path):
            loaded.append(load_exported(path, width, trust))
            continue
        content = read_run(path, checkpoint)
        predictor = load_predictor(content, trust).with_search(run_search(content, width))
        predictor.temperature = read_temperature(content.folder)
        loaded.append(predictor)
    predictor = together(loaded).to(device or own_device())
    predictor.view = NotebookView()
    return predictor


def run_search(checkpoint: Checkpoint, width: int) -> BeamSearch:
    """A beam with the limits of a run's own search."""
    limits = {key: checkpoint.config["search"].get(key) for key in ("max_length", "max_length_ratio")}
    return BeamSearch(width, **{key: value for key, value in limits.items() if value is not None})


def load_run(
    run: str | Path,
    ensemble: Sequence[str | Path] = (),
    checkpoint: str = "best",
    overrides: Mapping[str, Any] | None = None,
    trust: Collection[str] = (),
) -> Run:
    """A run with its data.

    Args:
        run: folder of a run, or a checkpoint file.
        ensemble: further runs that predict together with it.
        checkpoint: "best" or "last", of every run.
        overrides: values that replace those of its configuration, such as ``{"data.root": ...}``.
        trust: see ``load``.

    Raises:
        ValueError: as ``load``, or for an override of a key that the run does not have.
    """
    return run_of([read_run(path, checkpoint) for path in (run, *ensemble)], overrides, trust)


def run_of(
    contents: Sequence[Checkpoint], overrides: Mapping[str, Any] | None = None, trust: Collection[str] = ()
) -> Run:
    """The same of checkpoints that have been read, the run's own first."""
    config = overridden(contents[0].config, overrides, trust)
    predictors = [load_predictor(content, trust) for content in contents]
    predictor = together(predictors)
    if len(contents) == 1:
        predictor.temperature = read_temperature(contents[0].folder)
    data = build_data(config, predictor.tokenizer, predictor.source_tokenizer, trust)
    return Run(contents[0].folder, config, predictor, data)


def overridden(
    config: Mapping[str, Any], overrides: Mapping[str, Any] | None, trust: Collection[str] = ()
) -> dict[str, Any]:
    """A run's configuration with other values; relative paths among these start from the current folder.

    Raises:
        ValueError: for a key that the run does not have.
    """
    changed = deepcopy(dict(config))
    for key, value in (overrides or {}).items():
        try:
            select(changed, key)
        except KeyError:
            section = changed.get(key.partition(".")[0], {})
            raise ValueError(
                f"{key}: the run has no such key{likely(key, changed)}; it has {', '.join(map(str, section))}"
            ) from None
        update(changed, key, from_here(config, key, value, trust))
    return changed
