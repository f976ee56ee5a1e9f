"""Training a run from its configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

from multimodal_attn.command_lines import command_line
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.first_line import first_line
from multimodal_attn.machine import set_up_machine, suitable_precision
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import EVERYTHING, find
from multimodal_attn.prediction.checkpoint import Checkpoint, read_run, save_weights
from multimodal_attn.runs import environment
from multimodal_attn.runs.build import build_callbacks, build_loggers, build_module, cache_features, check_copying
from multimodal_attn.runs.check import check
from multimodal_attn.runs.configuration import refuse_unknown
from multimodal_attn.runs.data import build_data
from multimodal_attn.runs.initialization import encoder_alone, initialize, tell_unknown
from multimodal_attn.runs.language_model import build_language_model, build_text_data
from multimodal_attn.runs.lightning import lightning_part, quieten
from multimodal_attn.runs.masked_language_model import build_masked_language_model
from multimodal_attn.runs.stopping import fit, stop
from multimodal_attn.tracking.wandb import check_login
from multimodal_attn.training.callbacks.whole_steps import WholeSteps
from multimodal_attn.training.checkpoint_files import CheckpointFiles
from multimodal_attn.training.language_model import LanguageModelModule
from multimodal_attn.training.masked_language_model import MaskedLanguageModelModule
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.writing import remove_unfinished, write_file

SECTIONS = (
    *("data", "encoder", "attention", "decoder", "language_model", "masking"),
    *("tokenizer", "source_tokenizer", "objective"),
    *("search", "metrics", "monitor", "optimizer", "scheduler", "scheduled_sampling", "trainer", "callbacks", "logger"),
    *("name", "seed", "resume", "init_from", "run_dir", "cache_dir", "vocabulary_of", "started_in", "choices"),
)
"""Of a run's configuration."""


def train(settings: dict[str, Any], run_dir: Path) -> float | None:
    """Trains a run, or goes on with the one that ``resume`` names.

    Args:
        settings: of the run as plain containers, with ``resume`` taken into account already
            (``resumption.resumed_settings``).
        run_dir: folder of the run.

    Returns:
        The best value of the monitored metric: what a sweep optimizes.
    """
    here = {"run_dir": str(run_dir), "started_in": settings.get("started_in") or os.getcwd()}
    settings, origin = {**settings, **here}, environment.Environment()
    refuse_unknown(settings, SECTIONS)
    check(settings, fresh=not (settings["resume"] or settings["init_from"]))
    key = "resume" if settings["resume"] else "init_from"
    content = read_run(settings[key], "last" if settings["resume"] else "best", key) if settings[key] else None
    resumed = _resumable(content) if settings["resume"] else None
    quieten()
    loggers = build_loggers(settings, run_dir)
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            check_login(logger)
    callbacks = [*build_callbacks(settings), WholeSteps()]  # the last, see there
    trainer = _trainer(settings, run_dir, loggers, callbacks)
    pl.seed_everything(settings["seed"], verbose=False)
    set_up_machine()
    data, module = _build(settings, content)
    data.check_cached()
    module.train()
    earlier = environment.stretches(run_dir) if resumed else None
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        _open_folder(run_dir, settings)
        for split in ("train", "val"):
            origin.add_data(settings["data"].get("root"), split, data.source(split))
        origin.write(run_dir, wall=False, earlier=earlier or ())
    else:
        _write_no_log()
    for logger in loggers:
        logger.log_hyperparams(settings)
    rank_zero_info(
        f"{settings['name']}: {len(data.source('train'))} train, {len(data.source('val'))} val examples, vocabulary of"
        f" {len(data.tokenizer)}, {sum(p.numel() for p in module.parameters() if p.requires_grad):,} trainable"
        f" parameters; {run_dir}"
    )
    try:
        fit(trainer, module, data, resumed, run_dir)
    finally:
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            _close_folder(run_dir, origin, earlier)
        for logger in loggers:  # or the next run of a sweep would go on in this one's W&B run
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()
    best = _finish(trainer, settings, run_dir)
    stop(trainer)  # a signal in the last batch
    return best


def _open_folder(run_dir: Path, settings: dict[str, Any]) -> None:
    """Writes down what the run is, before it begins."""
    run_dir.mkdir(parents=True, exist_ok=True)
    for folder in (run_dir, run_dir / "checkpoints"):
        remove_unfinished(folder)
    write_file(run_dir / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _close_folder(run_dir: Path, origin: environment.Environment, earlier: list[Any] | None) -> None:
    """Writes down how long the run took; takes a new one back that ended before anything was logged or saved.

    Args:
        run_dir: folder of the run.
        origin: where it came from.
        earlier: what its stretches before it was resumed came from; None for a new run.
    """
    if earlier is not None or (run_dir / "metrics.jsonl").exists() or (run_dir / "checkpoints").exists():
        with suppress(OSError):  # a full disk has been told of already
            origin.write(run_dir, wall=True, earlier=earlier or ())
    else:
        for name in ("config.yaml", environment.FILE):
            (run_dir / name).unlink(missing_ok=True)


def _resumable(content: Checkpoint | None) -> Path:
    if content is None or content.path.suffix == ".safetensors":
        raise ValueError(
            f"resume: '{content and content.path}' holds the weights alone; expected a run with checkpoints/last.ckpt"
            " or checkpoints/best.ckpt"
        )
    return content.path


def _finish(trainer: pl.Trainer, settings: Mapping[str, Any], run_dir: Path) -> float | None:
    """Writes the weights that predict beside the checkpoints; says how the run ended and gives its best value."""
    if trainer.is_global_zero and (run_dir / "checkpoints").is_dir():
        save_weights(read_run(run_dir), run_dir / "model.safetensors")
    best = trainer.checkpoint_callback.best_model_score if trainer.checkpoint_callback else None  # type: ignore[attr-defined]
    if best is None and not (run_dir / "checkpoints").is_dir():
        return None
    line = command_line("evaluate", f"run={run_dir}")
    if best is None:
        rank_zero_info(f"ended before a validation; evaluate with: {line}")
        return None
    rank_zero_info(f"best {settings['monitor']['name']}: {float(best):.4f}; evaluate with: {line}")
    return float(best)


def _trainer(
    settings: dict[str, Any], run_dir: Path, loggers: list[Logger], callbacks: list[pl.Callback]
) -> pl.Trainer:
    """Lightning's Trainer; ``precision=auto`` becomes what this machine is fast in."""
    node = settings["trainer"]
    if not isinstance(node, dict):
        raise ValueError(f"trainer: {node!r}; expected settings such as trainer.max_epochs=10")
    given: dict[str, Any] = {
        "callbacks": callbacks,
        "plugins": [CheckpointFiles()],
        "logger": loggers,
        "default_root_dir": run_dir,
        "use_distributed_sampler": False,
    }
    made = lightning_part("trainer", {"_target_": "pytorch_lightning.Trainer", **node}, pl.Trainer, given)
    if node.get("precision") == "auto":
        node["precision"] = suitable_precision(str(node.get("accelerator", "auto")))
        made = made.with_settings(precision=node["precision"])
    if str(node.get("precision")) in ("16", "16-mixed") and settings["optimizer"].get("fused"):
        raise ValueError(
            "optimizer.fused: true; trainer.precision=16-mixed scales the loss and needs optimizer.fused=false"
        )
    try:
        return made(**given)
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        reason = first_line(error)
        named = next((f".{name}" for name, value in node.items() if f"{name}={value!r}" in reason), "")
        raise ValueError(f"trainer{named}: refused by Lightning's Trainer: {reason}") from None


def _tokenizer_from(
    config: Mapping[str, Any], content: Checkpoint | None, key: str = "tokenizer", theirs: str | None = None
) -> Tokenizer | None:
    """The tokenizer of the checkpoint that a run goes on with or starts from, if it is of the configured kind.

    None without a checkpoint, or where the run has none for ``key``.

    Args:
        config: of the run.
        content: the checkpoint.
        key: whose tokenizer it becomes.
        theirs: under which the checkpoint has it, if that is another key.
    """
    if content is None or not config.get(key):
        return None
    node = content.config.get(theirs or key)
    if not node:
        raise ValueError("init_from: that run reads no texts; expected one that does, as this one")
    kind, own = node["_target_"], config[key]["_target_"]
    if kind != own:
        raise ValueError(
            f"{key}: init_from brings a {kind.rpartition('.')[2]}; expected the same {key}= as that run had, not"
            f" {own.rpartition('.')[2]}"
        )
    return content.tokenizer(theirs or key, EVERYTHING)


def _build(
    config: dict[str, Any], content: Checkpoint | None
) -> tuple[DataModule, Seq2SeqModule | LanguageModelModule | MaskedLanguageModelModule]:
    """The data of a run, and what trains on them."""
    if "language_model" not in config and "masking" not in config:
        return _seq2seq(config, content)
    data = build_text_data(config, _tokenizer_from(config, content))
    build = build_language_model if "language_model" in config else build_masked_language_model
    module = build(config, data.tokenizer)
    if content is not None and not config["resume"]:
        initialize(module, config, content)
    if (content is not None or config.get("vocabulary_of")) and not config["resume"]:
        tell_unknown("tokenizer", data.tokenizer, data.source("train").texts())
    return data, module


def _seq2seq(config: dict[str, Any], content: Checkpoint | None) -> tuple[DataModule, Seq2SeqModule]:
    own: Tokenizer | None = None
    if content is not None and encoder_alone(config, content):
        if not config.get("source_tokenizer"):
            raise ValueError("init_from: that run's encoder reads texts; expected one here that does, too")
        of_sources = _tokenizer_from(config, content, "source_tokenizer", "tokenizer")
    else:
        own, of_sources = (_tokenizer_from(config, content, key) for key in ("tokenizer", "source_tokenizer"))
    going_on = content if config["resume"] else None
    node = config["encoder"]
    encoder: type[Encoder] = find("encoder", node["_target_"], Encoder, EVERYTHING)  # type: ignore[assignment]
    data = build_data(config, own, of_sources, EVERYTHING, reads=encoder.modality(node, EVERYTHING))
    module = build_module(config, data.tokenizer, data.source_tokenizer, checkpoint=going_on)
    check_copying(module.model, data.tokenizer, data.source_tokenizer)
    if content is not None and going_on is None:
        initialize(module, config, content)  # before the cache: the encoder's weights may come from there
        written, read = data.source("train").vocabulary_texts()
        for key, tokenizer, texts in (("tokenizer", own, written), ("source_tokenizer", of_sources, read)):
            if tokenizer is not None:
                tell_unknown(key, tokenizer, texts)
    data.source("train").check_readable()
    for objective in module.objectives.values():
        data.leave_out("train", objective.unusable(data, module.model.encoder.layout))
    cache_features(data, module.model, ("train", "val"), config["data"])
    return data, module


def _write_no_log() -> None:
    """Takes the log file away from a process that is not the first: Hydra has opened one for each."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()
        path = Path(handler.baseFilename)
        if path.is_file() and path.stat().st_size == 0:
            path.unlink()
