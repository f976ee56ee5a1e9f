"""Training a run from its configuration."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_info

from multimodal_attn.runs.build import build, build_data, build_module, cache_features, plain
from multimodal_attn.runs.checkpoint import find_checkpoint, read_checkpoint, tokenizer_of


def train(config: DictConfig, run_dir: Path) -> float | None:
    """Trains a run, or goes on with ``config.resume``.

    Args:
        config: of the run, with ``resume`` taken into account already (``resumed_config``).
        run_dir: folder of the run.

    Returns:
        The best value of the monitored metric: what a sweep optimises.
    """
    checkpoint = find_checkpoint(Path(config.resume), prefer="last") if config.resume else None
    if config.trainer.precision == "16-mixed" and config.optimizer.get("fused"):
        raise ValueError(
            "optimizer.fused: true; trainer.precision=16-mixed scales the loss and needs optimizer.fused=false"
        )
    _quieten_lightning()
    pl.seed_everything(config.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    run_dir.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, run_dir / "config.yaml", resolve=True)
    data = build_data(config, None if checkpoint is None else tokenizer_of(config, read_checkpoint(checkpoint)))
    module = build_module(config, data.tokenizer)
    cache_features(config, data, module.model, ("train", "val"))
    callbacks = [build(node) for node in config.callbacks.values() if node]
    loggers: list[Logger] = [build(node) for node in config.logger.values() if node]
    trainer = pl.Trainer(
        **plain(config.trainer),
        callbacks=callbacks,
        logger=loggers,
        default_root_dir=run_dir,
        use_distributed_sampler=False,
    )
    for logger in loggers:
        logger.log_hyperparams(module.config)
    rank_zero_info(
        f"{config.name}: {len(data.source('train'))} train, {len(data.source('val'))} val examples, vocabulary of"
        f" {len(data.tokenizer)}, {sum(p.numel() for p in module.parameters() if p.requires_grad):,} trainable"
        f" parameters; {run_dir}"
    )
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    best = trainer.checkpoint_callback.best_model_score if trainer.checkpoint_callback else None  # type: ignore[attr-defined]
    if best is not None:
        rank_zero_info(
            f"best {config.monitor.name}: {float(best):.4f}; evaluate with: python evaluate.py run={run_dir}"
        )
    return None if best is None else float(best)


def _quieten_lightning() -> None:
    """Drops what Lightning prints for its own ends: an advertisement, and a warning about itself."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(lambda r: "litlogger" not in r.getMessage())
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")


def resumed_config(config: DictConfig, overrides: list[str]) -> DictConfig:
    """The checkpoint's configuration with the command line's values on top.

    Args:
        config: composed from the command line, with ``resume``.
        overrides: of the command line, such as ``trainer.max_epochs=20``.

    Raises:
        ValueError: if an override would exchange a part of the model.
    """
    saved = OmegaConf.create(
        read_checkpoint(find_checkpoint(Path(config.resume), prefer="last"))["hyper_parameters"]["config"]
    )
    for override in overrides:
        key, _, _ = override.partition("=")
        if key == "resume":
            continue
        if not isinstance(OmegaConf.select(saved, key, default=None), str | int | float | bool | None):
            raise ValueError(
                f"{override}: a resumed run keeps its parts; only single values such as trainer.max_epochs can change"
            )
        OmegaConf.update(
            saved, key.lstrip("+"), OmegaConf.create({"v": OmegaConf.select(config, key.lstrip("+"))})["v"]
        )
    saved.resume = config.resume
    return saved
