"""Files that are whole or as they were before, whatever happens while they are written."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_UNFINISHED = ".unfinished-"
_HERE, _RENAME_EXCHANGE = -100, 2  # from fcntl.h and stdio.h


def _encoded(content: str) -> bytes:
    try:
        return content.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character, from a json file
        return content.encode("utf-8", "backslashreplace")


def write_file(path: str | Path, content: str | bytes | memoryview) -> None:
    """Writes a file beside its place, syncs it and renames it: a reader finds the old one or all of the new one.

    Args:
        path: of the file; its folder is made.
        content: text becomes UTF-8; parts of names that are not UTF-8 stay the bytes that they are.

    Raises:
        OSError: that names ``path``, which is then as it was before.
    """
    path = Path(path)
    unfinished = _beside(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                file.write(_encoded(content) if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def check_writable(path: str | Path) -> None:
    """Refuses a file that could not be written, before the work that it is to hold is done; makes its folder.

    Raises:
        OSError: that names ``path``.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Lets an OSError of the block name a file: one at a write or a sync names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def replaced_folder(folder: Path, own: Collection[str]) -> Iterator[Path]:
    """A new folder to fill, which takes the place of ``folder`` when the block has ended well, and vanishes if not.

    Args:
        folder: may be there already; what others have put into it stays.
        own: names of what the block may write: such of the old folder is not taken over.

    Raises:
        OSError: that names ``folder``, which is then as it was before.
        ValueError: if somebody works in ``folder``, who would be left in the old one.
    """
    if folder.is_symlink():
        folder = folder.resolve()  # what it leads to, not the link
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ValueError(f"'{folder}' is the working directory, or above it; expected a folder of its own")
    new, old = _beside(folder), folder.with_name(f"{_beside(folder).name}-old")
    with naming(folder):
        _finish_swap(folder, old, own)  # that of a process which was killed
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
    try:
        try:
            yield new
        except OSError as error:  # by the name that the file was to have
            if error.filename is not None and Path(error.filename).is_relative_to(new):
                error.filename = str(folder / Path(error.filename).relative_to(new))
            raise
        with naming(folder):
            _swap(new, folder, old)
            _sync_folder(folder.parent)
            _finish_swap(folder, old, own)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _swap(new: Path, folder: Path, old: Path) -> None:
    """Puts ``new`` in the place of ``folder``, whose content then is in ``old``."""
    if not folder.exists():
        os.rename(new, folder)
        return
    os.rename(new, old)  # it is whole: whoever finds it there need not throw it away
    if _exchange(old, folder):
        return
    os.rename(old, new)
    os.rename(folder, old)  # for a moment there is none; who is killed now leaves it to the next
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in a single step, where Linux and the file system can; says whether it did."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # an older C library, or another system
        return False
    return bool(renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _finish_swap(folder: Path, old: Path, own: Collection[str]) -> None:
    if not old.exists():
        return
    if not folder.exists():
        os.rename(old, folder)
        return
    for entry in old.iterdir():
        if entry.name not in own and not (folder / entry.name).exists():
            os.rename(entry, folder / entry.name)
    shutil.rmtree(old)


def remove_unfinished(folder: Path) -> None:
    """Removes the files directly in ``folder`` that processes which were killed had not finished."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """The same for the same path, so that the next write takes what a killed one has left; short whatever its name."""
    return path.with_name(_UNFINISHED + hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16])


def _sync_folder(folder: Path) -> None:
    """Makes a rename outlast a loss of power, where the file system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
