"""Where a run or an evaluation came from: environment.json, so that its figures can be made again, or explained.

Nothing of it tells who ran it: no name of a host or a user, no environment variable, and no path but the data's as the
configuration has it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.distributed import process_share
from multimodal_attn.writing import write_file

FILE = "environment.json"

_PACKAGES = (
    *("torch", "torchvision", "torchaudio", "pytorch_lightning", "hydra", "numpy", "PIL", "soundfile", "jiwer"),
    *("sacrebleu", "sentencepiece", "transformers", "peft", "timm", "onnxruntime", "ctranslate2", "faster_whisper"),
    *("rouge_score", "pocketsphinx", "wandb", "tensorboard", "av"),
)
_DISTRIBUTIONS = {"pytorch_lightning": "pytorch-lightning", "hydra": "hydra-core", "PIL": "pillow"}
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "neon", "asimd")


class Environment:
    """What tells a run from another of the same configuration; it begins to count its time when it is made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._code: dict[str, Any] | None = None
        self._root: str | None = None
        self._data: dict[str, dict[str, Any]] = {}

    def add_data(self, root: str | None, split: str, source: Dataset) -> None:
        """Notes what a split holds; ``root`` is where the configuration says that it lies."""
        self._root, self._data[split] = root, fingerprint(source)
        self._code = self._code or code()  # before the work: a checkout may move on while a training runs

    def write(self, folder: Path, wall: bool, earlier: Sequence[Any] = ()) -> None:
        """Writes environment.json.

        Args:
            folder: of the run or the evaluation.
            wall: whether it has ended, so that its time is known.
            earlier: the same of the stretches of a run before it was resumed, the oldest first.
        """
        self._code = self._code or code()
        content = {
            "code": self._code,
            "packages": packages(),
            "machine": machine(),
            "threads": {"torch": torch.get_num_threads(), "processes": process_share()[1]},
            "data": {"root": self._root, "splits": self._data},
            "wall_seconds": round(time.perf_counter() - self._start, 1) if wall else None,
            **({"earlier": list(earlier)} if earlier else {}),
        }
        write_file(folder / FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def stretches(folder: Path) -> list[Any]:
    """What an environment.json says of a run so far, the oldest stretch first; empty without one that can be read."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [*content.pop("earlier", []), content]
    except (OSError, ValueError, AttributeError):
        return []


def code() -> dict[str, Any]:
    """The version of this package; of a checkout also its commit, and whether all files were as committed."""
    folder = Path(__file__).parents[1]
    try:
        version = metadata.version("multimodal_attn")
    except metadata.PackageNotFoundError:
        version = None
    # A package that was installed into a folder of some other checkout is no file of that.
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"version": version, "commit": None, "clean": None}
    changes = _git(folder, "status", "--porcelain")
    return {"version": version, "commit": _git(folder, "rev-parse", "HEAD"), "clean": changes == ""}


def packages() -> dict[str, str]:
    """The versions of Python and of what has been imported that figures may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        if name in sys.modules:
            try:
                distribution = _DISTRIBUTIONS.get(name, name)
                found[distribution] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
    return found


def machine() -> dict[str, Any]:
    """Processor, its instructions for matrices, cores that this process may use, memory and GPUs."""
    told = _cpu_info()
    flags = set((told.get("flags") or told.get("Features") or "").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.system(),
        "cpu": told.get("model name") or platform.machine(),
        "instructions": [flag for flag in _FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    }


def fingerprint(source: Dataset) -> dict[str, Any]:
    """What tells a data set from another: its examples, its files and their sizes, and a checksum of the list.

    The list has a line for each example: its key, its texts, and the size of its file where it has one of its own.
    """
    lines, sizes = hashlib.sha256(), []
    for index, entry in enumerate(source.entries):
        path = source.path(index)
        try:
            size = None if path is None else os.path.getsize(path)
        except OSError:  # gone; skipped.txt will list it
            size = None
        if size is not None:
            sizes.append(size)
        line = json.dumps([entry.key, [target.text for target in entry.targets], size])
        lines.update(line.encode() + b"\n")
    return {
        "examples": len(source),
        "files": len(sizes),
        "bytes": sum(sizes),
        "skipped": len(source.skipped),
        "sha256": lines.hexdigest(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says in a folder; None without git, or where it refuses."""
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _cpu_info() -> dict[str, str]:
    """What Linux says of the first core; empty elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
