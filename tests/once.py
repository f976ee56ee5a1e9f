"""What is expensive to make is made once for all tests of a session, by whichever of its processes needs it first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that every test of the session, in whatever process, reads and none writes to: who writes takes a copy.

    Args:
        factory: of the session.
        name: of the folder, and of nothing else that is made.
        make: fills the folder, which does not exist yet.
    """
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made_once"
    shared.mkdir(exist_ok=True)
    folder, whole = shared / name, shared / f"{name}.whole"
    with FileLock(shared / f"{name}.lock"):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one that failed on the way
            make(folder)
            whole.touch()
    return folder
