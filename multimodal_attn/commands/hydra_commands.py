"""``train`` and ``evaluate`` as Hydra's commands; importing this costs neither torch nor Lightning."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from multimodal_attn.prediction.location import find_checkpoint, folder_of
from multimodal_attn.runs.configuration import CONF, choices, in_full, plain, refusal
from multimodal_attn.runs.exit import FAILED, explained, signals

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
            settings = {**plain(config), "choices": choices(HydraConfig.get())}
        return train(settings, Path(HydraConfig.get().runtime.output_dir))

    resumed = [one.partition("=")[2] for one in arguments if one.startswith("resume=") and one != "resume=null"]
    for run in resumed:
        find_checkpoint(run, "last", "resume")  # before Hydra makes a folder
    # What Hydra wrote down when the run began is what sets it apart in a sweep; a resumed run leaves it.
    return _run(job, "train", [*arguments, *(["hydra.output_subdir=null"] if resumed else [])])


def evaluate(arguments: Sequence[str]) -> int:
    """Evaluates a run; gives the exit status."""

    def job(config: DictConfig) -> None:
        from multimodal_attn.processes import joined
        from multimodal_attn.runs.evaluations.evaluate import evaluate

        with joined():
            evaluate(plain(config))

    return _run(job, "evaluate", arguments)


def _run(job: Callable[[DictConfig], Any], name: str, arguments: Sequence[str]) -> int:
    """Runs a job, or each of a sweep: one that fails does not end those that follow."""
    failed: list[tuple[str, int]] = []

    def one(config: DictConfig) -> Any:
        sweeps = HydraConfig.get().mode == RunMode.MULTIRUN
        with explained() as outcome, signals(held=False):
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
    run = hydra.main(version_base="1.3", config_path=str(CONF.resolve()), config_name=name)(one)
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    # What Hydra puts into a run's folder is there before a job can clear it away. A sweep waits here for its jobs.
    sweeps = any(one in ("-m", "--multirun") or one.startswith("hydra.mode=") for one in arguments)
    with _hydra_errors(name, overrides), nullcontext() if sweeps else signals(held=True):
        run()
    for job_overrides, _ in failed:
        print(f"failed: {job_overrides or '(no overrides)'}", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def _hydra_errors(name: str, overrides: Sequence[str]) -> Iterator[None]:
    """Lets Hydra raise what it would print in several lines, or with a traceback, and makes it a sentence."""
    before = os.environ.get(_FULL)
    os.environ[_FULL] = "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        if before == "1":  # "0" is what Hydra takes for no
            raise
        raise refusal(error, name, overrides) from None
    finally:
        os.environ.pop(_FULL, None) if before is None else os.environ.update({_FULL: before})


def _remove_unused(folder: Path) -> None:
    """Removes a run's folder in which there is nothing but what Hydra puts there before a run begins.

    Folders above it that are empty then go too, as far as they lie below the working directory.
    """
    here = Path.cwd()
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    used = not all(path.parent == folder / ".hydra" or path == folder / "train.log" for path in files)
    if used or not _is_first() or here.is_relative_to(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # it is not empty
        for parent in (parent for parent in folder.parents if parent.is_relative_to(here) and parent != here):
            parent.rmdir()


def _is_first() -> bool:
    """Whether this is the first of the processes that Lightning, torchrun or SLURM have started, or alone.

    Nobody is asked that would have to be imported: after a Ctrl-C within the import of torch, another one aborts.
    """
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
