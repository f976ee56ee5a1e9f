"""Training a run from its configuration."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.machine import set_up_machine
from multimodal_attn.prediction.checkpoint import find_checkpoint, initialise, read_checkpoint, tokenizer_of
from multimodal_attn.runs.build import build, build_data, build_module, cache_features, plain
from multimodal_attn.runs.language_model import build_language_model, build_text_data
from multimodal_attn.training.language_model import LanguageModelModule
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.training.objectives import WholeTextObjective
from multimodal_attn.training.objectives.ctc import CTC, without_path
from multimodal_attn.types import Timeline

# What a resumed run may change: nothing that a checkpoint restores, such as the optimiser's state, nor the model.
_RIGHT_KIND = (
    "choose another encoder=, or start from an experiment of the right kind, such as"
    " experiment=listen_attend_spell_grid data=manifest for speech"
)

RESUMABLE = ("trainer.", "data.", "search.", "callbacks.attention_maps.", "run_dir", "cache_dir")


def train(config: DictConfig, run_dir: Path) -> float | None:
    """Trains a run, or goes on with ``config.resume``.

    Args:
        config: of the run, with ``resume`` taken into account already (``resumed_config``).
        run_dir: folder of the run.

    Returns:
        The best value of the monitored metric: what a sweep optimises.
    """
    checkpoint = find_checkpoint(Path(config.resume), prefer="last") if config.resume else None
    if str(config.trainer.precision) in ("16", "16-mixed") and config.optimizer.get("fused"):
        raise ValueError(
            "optimizer.fused: true; trainer.precision=16-mixed scales the loss and needs optimizer.fused=false"
        )
    _quieten_lightning()
    pl.seed_everything(config.seed, verbose=False)
    set_up_machine()
    run_dir.mkdir(parents=True, exist_ok=True)
    # Everything else that the configuration refers to stays a reference; these two only Hydra and this machine know.
    config.run_dir, config.cache_dir = str(run_dir), str(config.cache_dir)
    resolved = _resolved(config)
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        OmegaConf.save(resolved, run_dir / "config.yaml")
    else:
        _write_no_log()
    origin = checkpoint or (find_checkpoint(Path(config.init_from)) if config.init_from else None)
    content = None if origin is None else read_checkpoint(origin)
    data, module = _language_model(config, content) if "language_model" in config else _seq2seq(config, content)
    if content is not None and checkpoint is None and isinstance(module, Seq2SeqModule):
        initialise(module, config, content)
    module.train()
    callbacks = [build(node) for node in config.callbacks.values() if node]
    loggers: list[Logger] = [build(node) for node in config.logger.values() if node]
    try:
        trainer = pl.Trainer(
            **plain(config.trainer),
            callbacks=callbacks,
            logger=loggers,
            default_root_dir=run_dir,
            use_distributed_sampler=False,
        )
    except TypeError as error:
        raise ValueError(f"trainer: {error}") from None
    for logger in loggers:
        logger.log_hyperparams(module.config)
    rank_zero_info(
        f"{config.name}: {len(data.source('train'))} train, {len(data.source('val'))} val examples, vocabulary of"
        f" {len(data.tokenizer)}, {sum(p.numel() for p in module.parameters() if p.requires_grad):,} trainable"
        f" parameters; {run_dir}"
    )
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    finally:
        for logger in loggers:  # or the next run of a sweep would go on in this one's W&B run
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()
    best = trainer.checkpoint_callback.best_model_score if trainer.checkpoint_callback else None  # type: ignore[attr-defined]
    if best is not None:
        use = f"run=... search.language_model={run_dir}" if "language_model" in config else f"run={run_dir}"
        rank_zero_info(f"best {config.monitor.name}: {float(best):.4f}; evaluate with: python evaluate.py {use}")
    return None if best is None else float(best)


def _resolved(config: DictConfig) -> DictConfig:
    """The configuration without references; names the encoder if it wants a value that the data do not have."""
    resolved = config.copy()
    try:
        OmegaConf.resolve(resolved)
    except InterpolationKeyError as error:
        reason = next(iter(str(error).splitlines()))
        if "'data." not in reason:
            raise
        raise ValueError(
            f"encoder: {reason}: these data are of another kind than the encoder reads; {_RIGHT_KIND}"
        ) from None
    return resolved


def _tokenizer_from(config: DictConfig, content: dict[str, Any] | None, key: str = "tokenizer") -> Tokenizer | None:
    """The tokenizer of the checkpoint that a run goes on with or starts from, if it is of the configured kind.

    None without a checkpoint, or where the run has none for ``key``.
    """
    if content is None or key not in config:
        return None
    theirs = content["hyper_parameters"]["config"].get(key)
    if theirs is None:
        raise ValueError("init_from: that run reads pictures or recordings; expected one that reads texts, as this one")
    kind = theirs["_target_"]
    if kind != config[key]._target_:
        raise ValueError(
            f"{key}: init_from brings a {kind.rsplit('.', 1)[1]}; expected the same {key}= as that run had, not"
            f" {config[key]._target_.rsplit('.', 1)[1]}"
        )
    return tokenizer_of(config, content, key)


def _seq2seq(config: DictConfig, content: dict[str, Any] | None) -> tuple[DataModule, Seq2SeqModule]:
    data = build_data(config, _tokenizer_from(config, content), _tokenizer_from(config, content, "source_tokenizer"))
    module = build_module(config, data.tokenizer, data.source_tokenizer)
    if content is None and all(isinstance(o, WholeTextObjective) for o in module.objectives.values()):
        raise ValueError(
            f"objective: {', '.join(module.objectives)} alone cannot teach a model that has not learnt to write yet;"
            " start from a run with init_from=outputs/RUN, or add cross_entropy"
        )
    _check_modality(data, module)
    _leave_out_without_path(data, module)
    cache_features(config, data, module.model, ("train", "val"))
    return data, module


def _language_model(config: DictConfig, content: dict[str, Any] | None) -> tuple[DataModule, LanguageModelModule]:
    data = build_text_data(config, _tokenizer_from(config, content))
    return data, build_language_model(config, data.tokenizer)


def _check_modality(data: DataModule, module: Seq2SeqModule) -> None:
    """Refuses pictures for an encoder of speech and the like, before torch stumbles over them."""
    source = data.source("train")
    given, taken = source.reader.modality, module.model.encoder.reads
    if given != taken:
        raise ValueError(f"encoder: the data are {given}s, but the encoder takes {taken}s; {_RIGHT_KIND}")
    source.check_readable()


def _leave_out_without_path(data: DataModule, module: Seq2SeqModule) -> None:
    """Trains without the recordings whose text CTC could not align."""
    layout = module.model.encoder.layout
    if isinstance(layout, Timeline) and any(isinstance(objective, CTC) for objective in module.objectives.values()):
        data.leave_out("train", without_path(data.source("train"), data.tokenizer, layout))


def _quieten_lightning() -> None:
    """Drops what Lightning prints for its own ends: an advertisement, and a warning about itself."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(lambda r: "litlogger" not in r.getMessage())
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message=".*sync_dist=True")  # what validation logs is that of all processes


def _write_no_log() -> None:
    """Takes the log file away from a process that is not the first: Hydra has opened one for each."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()
        path = Path(handler.baseFilename)
        if path.is_file() and path.stat().st_size == 0:
            path.unlink()


def resumed_config(config: DictConfig, overrides: list[str]) -> DictConfig:
    """The checkpoint's configuration with the command line's values on top.

    Args:
        config: composed from the command line, with ``resume``.
        overrides: of the command line, such as ``trainer.max_epochs=20`` or ``+data.root=/elsewhere``.

    Raises:
        ValueError: if an override would exchange a part of the model, or change what the checkpoint itself restores.
    """
    saved = OmegaConf.create(
        read_checkpoint(find_checkpoint(Path(config.resume), prefer="last"))["hyper_parameters"]["config"]
    )
    for override in overrides:
        key = override.partition("=")[0].lstrip("+")
        if key == "resume":
            continue
        old = OmegaConf.select(saved, key, default=None)
        if not key.startswith(RESUMABLE) or OmegaConf.is_config(old):
            raise ValueError(
                f"{override}: a resumed run keeps its parts; only single values below {', '.join(RESUMABLE)} can change"
            )
        OmegaConf.update(saved, key, OmegaConf.select(config, key), force_add=True)
    saved.resume = config.resume
    saved.run_dir, saved.cache_dir = config.run_dir, config.cache_dir  # the run may have been moved since
    return saved
