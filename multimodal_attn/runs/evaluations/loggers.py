"""Evaluations in W&B and TensorBoard, beside the training that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

from multimodal_attn.runs.lightning import lightning_part
from multimodal_attn.tracking import log_page
from multimodal_attn.tracking.files import FileLogger
from multimodal_attn.tracking.wandb import check_login, with_run_id


def evaluation_loggers(nodes: Mapping[str, Any] | None, run_dir: Path) -> list[Logger]:
    """The loggers of ``conf/logger`` for the evaluation of a run. W&B goes on in the run's own W&B run.

    Plain files are left out: the folder of the evaluation has them.

    Args:
        nodes: name -> node.
        run_dir: folder of the run.

    Raises:
        ValueError: names the key and what was expected; also without an account of W&B.
    """
    chosen = {}
    for name, node in (nodes or {}).items():
        if node is not None and node.get("_target_") != f"{FileLogger.__module__}.{FileLogger.__qualname__}":
            chosen[name] = {**node, "save_dir": str(run_dir)}
            if str(node.get("_target_", "")).endswith(WandbLogger.__name__):
                chosen[name].pop("name", None)  # the run keeps its own
    found = [lightning_part(f"logger.{name}", node, Logger)() for name, node in with_run_id(chosen, run_dir).items()]  # type: ignore[type-abstract]
    for logger in found:
        if isinstance(logger, WandbLogger):
            check_login(logger)
    return found


def log_evaluation(loggers: Sequence[Logger], name: str, metrics: Mapping[str, float], page: Path) -> None:
    """Logs the figures and the page of an evaluation, below ``name``, and ends the W&B run."""
    for logger in loggers:
        logger.log_metrics({f"{name}/{figure}": value for figure, value in metrics.items()})
    log_page(loggers, f"{name}/page", page, 0)
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()
