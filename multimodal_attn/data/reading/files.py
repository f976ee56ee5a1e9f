"""Files: which to read where folders are named, and how to tell whether one has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from multimodal_attn.types import UnreadableError


def find_files(named: Iterable[Path], suffixes: Sequence[str]) -> tuple[list[Path], list[UnreadableError]]:
    """Files as they are named; of folders, all that lies below them and has a known suffix.

    Args:
        named: files and folders.
        suffixes: such as "jpg", in lower case; capitals in a name make no difference.

    Returns:
        The files, those of a folder in the order of their names, and what else lies in the folders.

    Raises:
        ValueError: if there is no file at all.
    """
    named, files, others = list(named), [], []
    for path in named:
        if not path.is_dir():
            files.append(path)
            continue
        for below in sorted(below for below in path.rglob("*") if not below.is_dir()):
            if below.suffix.lower().lstrip(".") in suffixes:
                files.append(below)
            else:
                others.append(UnreadableError(str(below), f"ends in none of {', '.join(suffixes)}"))
    if not files and not others:
        raise ValueError(f"{', '.join(map(str, named))}: no file there")
    return files, others


def file_fingerprint(path: str | Path) -> str:
    """Path, size and time of change of a file: what tells that what was made of it is still up to date."""
    status = os.stat(path)
    return f"{path}:{status.st_size}:{status.st_mtime_ns}"


def checksum(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(text: str) -> bytes:
    """SHA-256 of a text: a number that looks random and is the same in every process."""
    return hashlib.sha256(text.encode()).digest()
