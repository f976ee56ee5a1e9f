"""A file that is part of a model: its content travels in the model's state."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import torch
from torch import Tensor, nn

_IN_PACKAGE = re.compile(r"(\w[\w.]*):(?!\\)(.+)")


class CarriedFile(nn.Module):
    """The content of a file, as bytes among a model's weights, so that a checkpoint needs no other file.

    It is no buffer: an average of weights leaves it alone, and it moves to no other device.

    Args:
        content: of the file; None for one that a checkpoint will fill.
        num_bytes: of its content.
    """

    def __init__(self, content: bytes | None, num_bytes: int) -> None:
        super().__init__()
        self._content = content
        self.num_bytes = num_bytes

    @property
    def content(self) -> bytes:
        assert self._content is not None, "the checkpoint's state has not been loaded yet"
        return self._content

    @property
    def filled(self) -> bool:
        """Whether its content is there."""
        return self._content is not None

    def get_extra_state(self) -> Tensor:
        """(num_bytes,) uint8; no more than its shape while a checkpoint has not filled it, which may say any number."""
        if self._content is None:
            return torch.empty(self.num_bytes, dtype=torch.uint8, device="meta")
        with torch.device("cpu"):  # a model may be built of shapes ("meta") while the file is there
            return torch.frombuffer(bytearray(self._content), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        self._content = state.cpu().numpy().tobytes()


def find_file(key: str, name: str, advice: str) -> Path:
    """A file by its path, or as PACKAGE:PATH one that lies in an installed package, which is not imported for it.

    Args:
        key: of the setting, for errors.
        name: of the file.
        advice: what to do where it is missing, for the error.

    Raises:
        ValueError: if it is not there.
    """
    inside = _IN_PACKAGE.fullmatch(name)
    if inside is None:
        path = Path(name).expanduser()
    else:
        package, relative = inside.groups()
        try:
            found = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            found = None
        if found is None or not found.submodule_search_locations:
            raise ValueError(
                f"{key}: {name!r}; the package {package} is missing, expected it installed: pip install"
                f" {package.replace('_', '-')}"
            )
        path = Path(next(iter(found.submodule_search_locations))) / relative
    if not path.exists():
        raise ValueError(f"{key}: '{path}' does not exist; expected {advice}")
    return path


def read_content(key: str, path: Path, sha256: str | None) -> bytes:
    """The content of a file, which has a checksum if one is given.

    Raises:
        ValueError: if it has another, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{key}: '{path}' cannot be read ({error.strerror}); expected a file") from None
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise ValueError(f"{key}: '{path}' has the SHA-256 {found}; expected {sha256}")
    return content
