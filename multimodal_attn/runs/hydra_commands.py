"""``train`` and ``evaluate`` as Hydra's commands; importing this costs neither torch nor Lightning."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import run_and_report
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from multimodal_attn.prediction.location import find_checkpoint, folder_of
from multimodal_attn.runs.configuration import CONF, in_full, plain
from multimodal_attn.runs.exit import FAILED, explained

_FULL = "HYDRA_FULL_ERROR"


def run_folder(resume: str | None, new: str) -> str:
    """Where a run lives: a resumed one in its own folder, also when ``resume`` names one of its checkpoints."""
    return new if resume is None else str(folder_of(find_checkpoint(resume, prefer="last")))


OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)


def train(arguments: Sequence[str]) -> int:
    """Trains a run, or with ``-m`` several; gives the exit status."""

    def job(config: DictConfig) -> float | None:
        # Imported here, so that --help and tab completion do not wait for torch.
        from multimodal_attn.runs.resumption import resumed_settings
        from multimodal_attn.runs.train import train

        if config.resume:
            settings = resumed_settings(plain(config), list(HydraConfig.get().overrides.task))
        else:
            settings = {**plain(config), "choices": _choices()}
        return train(settings, Path(HydraConfig.get().runtime.output_dir))

    for argument in arguments:
        if argument.startswith("resume=") and argument != "resume=null":
            find_checkpoint(argument.partition("=")[2], "last", "resume")  # before Hydra makes a folder
    return _run(job, "train", arguments)


def evaluate(arguments: Sequence[str]) -> int:
    """Evaluates a run; gives the exit status."""

    def job(config: DictConfig) -> None:
        from multimodal_attn.processes import joined
        from multimodal_attn.runs.evaluate import evaluate

        with joined():
            evaluate(plain(config))

    return _run(job, "evaluate", arguments)


def _run(job: Callable[[DictConfig], Any], name: str, arguments: Sequence[str]) -> int:
    """Runs a job, or each of a sweep: one that fails does not end those that follow."""
    failed: list[tuple[str, int]] = []

    def one(config: DictConfig) -> Any:
        sweeps = HydraConfig.get().mode == RunMode.MULTIRUN
        with explained() as outcome:
            try:
                outcome.value = job(config)
            except Exception as error:
                if not sweeps or isinstance(error, OSError | ValueError):
                    raise
                traceback.print_exc()
                outcome.status = FAILED
        if outcome.status == 0:
            return outcome.value
        if not sweeps or outcome.status != FAILED:
            if name == "train":
                _remove_unused(Path(HydraConfig.get().runtime.output_dir))
            raise SystemExit(outcome.status)
        failed.append((" ".join(HydraConfig.get().overrides.task), outcome.status))
        return float("nan")  # the worst of all for a sweep that optimizes

    sys.argv = [sys.argv[0], *in_full(arguments, name)]
    _without_tracebacks(hydra.main(version_base="1.3", config_path=str(CONF.resolve()), config_name=name)(one))
    for overrides, _ in failed:
        print(f"failed: {overrides or '(no overrides)'}", file=sys.stderr)
    return 1 if failed else 0


def _without_tracebacks(run: Callable[[], Any]) -> None:
    """Lets Hydra raise what the system refuses it, a closed pipe or a folder, for which it would print a traceback."""
    before = os.environ.get(_FULL)
    os.environ[_FULL] = "1"
    try:
        run()
    except Exception as error:
        if before == "1" or isinstance(error, OSError):  # "0" is what Hydra takes for no
            raise
        del os.environ[_FULL]
        reason = error

        def told() -> None:
            raise reason

        run_and_report(told)  # as ever
    finally:
        os.environ.pop(_FULL, None) if before is None else os.environ.update({_FULL: before})


def _choices() -> dict[str, Any]:
    """The yaml that was chosen of each group, which a resumed run composes again."""
    return {
        group: OmegaConf.to_container(choice) if OmegaConf.is_config(choice) else choice
        for group, choice in HydraConfig.get().runtime.choices.items()
        if choice is not None and not group.startswith("hydra/")
    }


def _remove_unused(folder: Path) -> None:
    """Removes a run's folder in which there is nothing but what Hydra puts there before a run begins."""
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    if all(path.parent == folder / ".hydra" or path == folder / "train.log" for path in files):
        shutil.rmtree(folder, ignore_errors=True)
