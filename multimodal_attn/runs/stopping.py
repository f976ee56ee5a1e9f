"""How a training ends before its time: by a signal, an error, or the end of another of its processes."""

from __future__ import annotations

import signal
from pathlib import Path
from subprocess import TimeoutExpired

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import distributed

from multimodal_attn.command_lines import command_line
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.first_line import first_line
from multimodal_attn.runs.exit import TERMINATED, Terminated
from multimodal_attn.training.base import TrainingModule
from multimodal_attn.training.callbacks.save_on_exception import SaveOnException

_PATIENCE_SECONDS = 5


def fit(trainer: pl.Trainer, module: TrainingModule, data: DataModule, resumed: Path | None, run_dir: Path) -> None:
    """Trains to the end, or ends as the one who stopped it expects.

    Args:
        trainer: with its callbacks.
        module: to train.
        data: to train on.
        resumed: the checkpoint to go on from; None for a new run.
        run_dir: what to tell the user to resume from.

    Raises:
        ValueError: if Lightning refuses the settings, or another process has ended.
        KeyboardInterrupt, SystemExit: after a signal.
    """
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
    except MisconfigurationException as error:
        raise ValueError(first_line(error)) from None
    except SIGTERMException:
        stop(trainer, signal.SIGTERM)
    except Terminated:  # before the training has begun
        _end_others(trainer)
        raise
    except Exception as error:
        stop(trainer)  # the signal may have ended a worker of the loader, too
        if trainer.world_size > 1 and (isinstance(error, distributed.DistError) or "/gloo/" in str(error)):
            raise ValueError(
                "trainer: another process of this training has ended, so that this one cannot go on"
                f" ({first_line(error)}); go on with: {command_line('train', f'resume={run_dir}')}"
            ) from None
        raise
    except SystemExit:  # how Lightning ends a training on a second Ctrl-C, after the callbacks have saved it
        raise KeyboardInterrupt from None


def stop(trainer: pl.Trainer, otherwise: signal.Signals | None = None) -> None:
    """Ends a training as the signal that it has received asks, or whatever follows it would go on.

    Lightning's launcher is killed by Lightning if a process that it has started fails, so that these just end.
    """
    received = [callback.received for callback in trainer.callbacks if isinstance(callback, SaveOnException)]  # type: ignore[attr-defined]
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
            other.wait(_PATIENCE_SECONDS)
        except TimeoutExpired:  # it waits in a library that hears no signal
            other.kill()
