"""Files that are whole or as they were before: full disks, failures at every step of a write, kills."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from multimodal_attn import writing
from multimodal_attn.writing import naming, remove_unfinished, replaced_folder, write_file


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB and 16 files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=16", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small file system, and not everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_what_is_written_is_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ä.txt"
    write_file(path, "ü\n")
    assert path.read_bytes() == b"\xc3\xbc\n"
    write_file(path, memoryview(b"bytes"))
    assert path.read_bytes() == b"bytes"
    write_file(tmp_path / ("n" * 255), "a name as long as any may be")
    assert len(list(tmp_path.rglob("*"))) == 3


def test_full_disk_leaves_what_was_there(small_disk: Path) -> None:
    path = small_disk / "last.ckpt"
    write_file(path, b"1" * 100_000)
    with pytest.raises(OSError, match="No space left") as error:
        write_file(path, b"2" * 200_000)
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"1" * 100_000
    assert list(small_disk.iterdir()) == [path]


def test_disk_without_room_for_another_file_leaves_what_was_there(small_disk: Path) -> None:
    path = small_disk / "last.ckpt"
    write_file(path, b"1")
    with suppress(OSError):  # whichever of them it is
        for number in range(20):
            (small_disk / str(number)).touch()
    with pytest.raises(OSError, match="No space left") as error:
        write_file(path, b"2")
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failure_at_a_step_names_the_file(
    step: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_file(path, "old")

    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(writing.os, step, fail)
    with pytest.raises(OSError, match=os.strerror(number)) as error:
        write_file(path, "new")
    assert (error.value.errno, error.value.filename) == (number, str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists") as error:
        write_file(tmp_path / "file" / "below", "text")
    assert error.value.filename == str(tmp_path / "file" / "below")


def test_error_without_a_name_gets_one() -> None:
    with pytest.raises(PermissionError) as error, naming("the/file"):
        raise OSError(errno.EACCES, "Permission denied")
    assert error.value.filename == "the/file"


def test_killed_write_leaves_the_old_file_and_no_rubbish_after_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for _ in range(3):
        process = os.fork()
        if process == 0:
            os.replace = lambda *arguments: os._exit(9)
            write_file(path, "new")
        os.waitpid(process, 0)
        assert not path.exists()
        assert len(list(tmp_path.iterdir())) == 1
    write_file(tmp_path / "other", "")
    remove_unfinished(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("killed_before", range(1, 5))
def test_kill_within_a_swap_leaves_one_of_both_and_all_that_is_of_others(
    killed_before: int, at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:  # as on a file system that cannot exchange two names
        monkeypatch.setattr(writing, "_exchange", lambda *names: False)
    folder = tmp_path / "val"
    with replaced_folder(folder, ["a"]) as new:
        (new / "a").write_text("old")
    (folder / "notes").write_text("of the user's own")
    process = os.fork()
    if process == 0:
        rename, calls = os.rename, []

        def counted(*arguments: Path) -> None:
            calls.append(arguments)
            if len(calls) == killed_before:
                os._exit(9)
            rename(*arguments)

        os.rename = counted
        with replaced_folder(folder, ["a"]) as new:
            (new / "a").write_text("new")
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status == (9 if killed_before < (3 if at_once else 5) else 0)
    if at_once:
        assert (folder / "a").read_text() in ("old", "new")  # at any moment
    with pytest.raises(RuntimeError), replaced_folder(folder, ["a"]):
        raise RuntimeError
    assert (folder / "a").read_text() in ("old", "new")
    assert (folder / "notes").read_text() == "of the user's own"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("failing", range(1, 5))
def test_failure_within_a_swap_leaves_the_old_folder(
    failing: int, at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "val"
    with replaced_folder(folder, ["a"]) as new:
        (new / "a").write_text("old")
    rename, calls = os.rename, []

    def counted(*arguments: Path) -> None:
        calls.append(arguments)
        if len(calls) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(writing.os, "rename", counted)
        if not at_once:
            patch.setattr(writing, "_exchange", lambda *names: False)
        with suppress(OSError), replaced_folder(folder, ["a"]) as new:
            (new / "a").write_text("new")
    with pytest.raises(RuntimeError), replaced_folder(folder, ["a"]):
        raise RuntimeError
    assert (folder / "a").read_text() == ("new" if len(calls) < failing else "old")
    assert list(tmp_path.iterdir()) == [folder]


def test_where_somebody_works_nothing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").touch()
    for folder in (Path(), Path(".."), Path("/"), tmp_path):
        with pytest.raises(ValueError, match="expected a folder of its own"), replaced_folder(folder, ["a"]):
            raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_what_a_link_leads_to_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "notes").touch()
    (tmp_path / "link").symlink_to("far")
    for text in ("old", "new"):
        with replaced_folder(tmp_path / "link", ["a"]) as new:
            (new / "a").write_text(text)
    assert (tmp_path / "link").is_symlink()
    assert {path.name: path.read_text() for path in (tmp_path / "far").iterdir()} == {"a": "new", "notes": ""}
    assert {path.name for path in tmp_path.iterdir()} == {"far", "link"}


def test_new_folder_keeps_what_others_have_put_into_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "val"
    with replaced_folder(folder, ["a", "words"]) as new:
        (new / "a").write_text("old")
        (new / "words").mkdir()
    (folder / "notes").write_text("of the user's own")
    with replaced_folder(folder, ["a", "words"]) as new:
        (new / "a").write_text("new")
    assert {path.name for path in folder.iterdir()} == {"a", "notes"}
    assert (folder / "a").read_text() == "new"
