"""What holds for every test: fixed seeds and threads, no account, no display, own homes for wandb and matplotlib."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before anything imports torch, wandb or matplotlib. Subprocesses that tests start inherit it.
os.environ |= {
    # Fixed, because the order of a sum, and so its last digits, depends on it; one, because the models of the tests are
    # so small that a second thread costs more than it gives, on a busy machine fifty times as much.
    "OMP_NUM_THREADS": "1",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "MPLBACKEND": "Agg",
    "HF_HUB_OFFLINE": "1",  # no test fetches a network
}

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent

torch.set_num_threads(1)
# The first backward pass decides whether autograd has threads, after which no fork can train. It has none unless an
# export has made other devices known before it.
torch.ones(1, requires_grad=True).backward()


@pytest.fixture(scope="session", autouse=True)
def temporary_homes() -> Iterator[Path]:
    """Gives wandb and matplotlib a place of their own, so that a test run leaves none of their files behind."""
    with (
        tempfile.TemporaryDirectory(prefix="multimodal_attn_tests_", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        for variable in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "MPLCONFIGDIR"):
            place = Path(folder) / variable.lower()
            place.mkdir()
            patch.setenv(variable, str(place))
        yield Path(folder)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Starts every test from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout, where conf/, train.py and evaluate.py lie."""
    return REPOSITORY


@pytest.fixture(scope="session", params=["pictures", "speech"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The checkpoint of a small run, and the folder that it was exported to: to be read, see ``made_once``."""
    from tests.export.folders import exported_once

    folder = exported_once(tmp_path_factory, request.param)
    return folder / "run.ckpt", folder / "exported"
