"""Files: which to read where folders are named, and how to tell whether one has changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from multimodal_attn.types import UnreadableError
from multimodal_attn.writing import write_file

_LONGEST_NAME = 200  # bytes, of the 255 that a name may have; an ending comes after it


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
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def file_name(key: str) -> str:
    """A name for what is written of an example or a file: its key, where any file system takes that for a name.

    Otherwise what it does not take is replaced, and a digest of the key keeps names of different keys apart.
    """
    name = re.sub(r"[\x00-\x1f\x7f/\\:*?\"<>|\ud800-\udfff]", "-", key)
    if name == key and len(name.encode()) <= _LONGEST_NAME and not name.startswith("."):
        return name
    return f"{name.encode()[:100].decode(errors='ignore').lstrip('.')}-{digest(key).hex()[:10]}"


def file_names(paths: Sequence[Path]) -> list[str]:
    """A name without suffix for what is written of each file; no two are alike."""
    names = [file_name(path.stem) for path in paths]
    same = Counter(name.casefold() for name in names)  # some file systems take capitals for small letters
    return [
        f"{name[:100]}-{digest(str(path)).hex()[:10]}" if same[name.casefold()] > 1 else name
        for name, path in zip(names, paths, strict=True)
    ]


def write_skipped(path: Path, errors: Iterable[UnreadableError]) -> None:
    """Writes a line of path and reason for each; names that are not UTF-8 as the bytes that they are."""
    lines = (f"{error.path}\t{error.reason}".replace("\r", "\\r").replace("\n", "\\n") for error in errors)
    write_file(path, "".join(f"{line}\n" for line in lines))


def local_path(name: str) -> str:
    """A path from a UTF-8 list as this process asks the system for it: the same but in an ASCII locale."""
    return os.fsdecode(name.encode("utf-8", "surrogateescape")) if not name.isascii() else name
