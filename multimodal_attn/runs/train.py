"""Training a run from its configuration."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytorch_lightning as pl
import yaml
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import distributed

from multimodal_attn.command_lines import command_line
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.machine import set_up_machine, suitable_precision
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import EVERYTHING, Part, part, quietly
from multimodal_attn.prediction.checkpoint import Checkpoint, read_run, save_weights, with_encoder_of_checkpoint
from multimodal_attn.runs import environment
from multimodal_attn.runs.build import build_callbacks, build_loggers, build_module, cache_features, check_copying
from multimodal_attn.runs.check import check
from multimodal_attn.runs.configuration import refuse_unknown
from multimodal_attn.runs.data import build_data
from multimodal_attn.runs.exit import TERMINATED, Terminated
from multimodal_attn.runs.initialization import encoder_alone, initialize
from multimodal_attn.runs.language_model import build_language_model, build_text_data
from multimodal_attn.runs.lightning import lightning_part, quieten
from multimodal_attn.runs.masked_language_model import build_masked_language_model
from multimodal_attn.tracking.wandb import check_login
from multimodal_attn.training.callbacks.save_on_exception import SaveOnException
from multimodal_attn.training.callbacks.whole_steps import WholeSteps
from multimodal_attn.training.checkpoint_files import CheckpointFiles
from multimodal_attn.training.language_model import LanguageModelModule
from multimodal_attn.training.masked_language_model import MaskedLanguageModelModule
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Modality
from multimodal_attn.writing import remove_unfinished, write_file

_PATIENCE = 5  # seconds

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
    if content is not None and resumed is None:
        initialize(module, settings, content)
    module.train()
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        run_dir.mkdir(parents=True, exist_ok=True)
        for folder in (run_dir, run_dir / "checkpoints"):
            remove_unfinished(folder)
        write_file(run_dir / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        earlier = environment.stretches(run_dir) if resumed else []
        for split in ("train", "val"):
            origin.add_data(settings["data"].get("root"), split, data.source(split))
        origin.write(run_dir, wall=False, earlier=earlier)
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
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
    except MisconfigurationException as error:
        raise ValueError(_first_line(error)) from None
    except SIGTERMException:
        _stop(trainer, callbacks, signal.SIGTERM)
    except Terminated:  # before the training has begun
        _end_others(trainer)
        raise
    except Exception as error:
        _stop(trainer, callbacks)  # the signal may have ended a worker of the loader, too
        if trainer.world_size > 1 and (isinstance(error, distributed.DistError) or "/gloo/" in str(error)):
            raise ValueError(
                "trainer: another process of this training has ended, so that this one cannot go on"
                f" ({_first_line(error)}); go on with: {command_line('train', f'resume={run_dir}')}"
            ) from None
        raise
    except SystemExit:  # how Lightning ends a training on a second Ctrl-C, after the callbacks have saved it
        raise KeyboardInterrupt from None
    finally:
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            if resumed is not None or _was_used(run_dir):
                with suppress(OSError):  # a full disk has been told of already
                    origin.write(run_dir, wall=True, earlier=earlier)
            else:
                for name in ("config.yaml", environment.FILE):
                    (run_dir / name).unlink(missing_ok=True)
        for logger in loggers:  # or the next run of a sweep would go on in this one's W&B run
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()
    best = _finish(trainer, settings, run_dir)
    _stop(trainer, callbacks)  # a signal in the last batch
    return best


def _was_used(run_dir: Path) -> bool:
    """Whether anything of a run was logged or saved before it ended."""
    return (run_dir / "metrics.jsonl").exists() or (run_dir / "checkpoints").exists()


def _resumable(content: Checkpoint | None) -> Path:
    if content is None or content.path.suffix == ".safetensors":
        raise ValueError(
            f"resume: '{content and content.path}' holds the weights alone; expected a run with checkpoints/last.ckpt"
            " or checkpoints/best.ckpt"
        )
    return content.path


def _stop(trainer: pl.Trainer, callbacks: Sequence[pl.Callback], otherwise: signal.Signals | None = None) -> None:
    """Ends a training as the signal that it has received asks, or whatever follows it would go on.

    Lightning's launcher is killed by Lightning if a process that it has started fails, so that these just end.
    """
    received = [callback.received for callback in callbacks if isinstance(callback, SaveOnException)]
    number = next((one for one in received if one is not None), otherwise)
    if number is None:
        return
    if trainer.global_rank > 0 and isinstance(trainer.strategy.cluster_environment, LightningEnvironment):  # type: ignore[attr-defined]
        raise SystemExit(0)
    if number is signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(TERMINATED)


def _end_others(trainer: pl.Trainer) -> None:
    """Ends the processes that Lightning's launcher has started in this one: they would wait for it."""
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return
    others = [*launcher.procs]
    launcher.procs.clear()  # whoever watches over them would take their end for a failure, and kill this process
    for other in others:
        other.terminate()
    for other in others:
        try:
            other.wait(_PATIENCE)
        except TimeoutExpired:  # it waits in a library that hears no signal
            other.kill()


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
        reason = _first_line(error)
        named = next((f".{name}" for name, value in node.items() if f"{name}={value!r}" in reason), "")
        raise ValueError(f"trainer{named}: refused by Lightning's Trainer: {reason}") from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


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
    return data, build(config, data.tokenizer)


def _seq2seq(config: dict[str, Any], content: Checkpoint | None) -> tuple[DataModule, Seq2SeqModule]:
    own: Tokenizer | None = None
    if content is not None and encoder_alone(config, content):
        if not config.get("source_tokenizer"):
            raise ValueError("init_from: that run's encoder reads texts; expected one here that does, too")
        of_sources = _tokenizer_from(config, content, "source_tokenizer", "tokenizer")
    else:
        own, of_sources = (_tokenizer_from(config, content, key) for key in ("tokenizer", "source_tokenizer"))
    going_on = content if config["resume"] else None
    node = (with_encoder_of_checkpoint(config, EVERYTHING) if going_on else config)["encoder"]
    with quietly():
        encoder: Part[Encoder] = part("encoder", node, Encoder, EVERYTHING, given=("vocab_size",))
    reads: Modality = encoder.make.modality(encoder.settings)  # type: ignore[attr-defined]
    data = build_data(config, own, of_sources, EVERYTHING, reads=reads)
    module = build_module(config, data.tokenizer, data.source_tokenizer, checkpoint=going_on)
    check_copying(module.model, data.tokenizer, data.source_tokenizer)
    data.source("train").check_readable()
    for objective in module.objectives.values():
        data.leave_out("train", objective.unusable(data, module.model.encoder.layout))
    cache_features(data, module.model, ("train", "val"), config["data"].get("cache_dir"))
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
