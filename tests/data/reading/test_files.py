from __future__ import annotations

from pathlib import Path

import pytest

from multimodal_attn.data.reading.files import find_files


def test_folders_give_what_has_a_known_suffix_and_list_the_rest(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/C.JPG", "a/notes.txt", "a/deep/d.png", "no_suffix", "x.jpg.part"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, others = find_files([tmp_path], ("jpg", "png"))
    assert [str(path.relative_to(tmp_path)) for path in files] == ["a/C.JPG", "a/deep/d.png", "b.jpg"]
    assert [Path(error.path).name for error in others] == ["notes.txt", "no_suffix", "x.jpg.part"]
    assert others[0].reason == "ends in none of jpg, png"


def test_files_are_taken_as_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "photo").touch()
    assert find_files([tmp_path / "photo", tmp_path / "missing.txt"], ("jpg",)) == (
        [tmp_path / "photo", tmp_path / "missing.txt"],
        [],
    )


def test_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{tmp_path}: no file there"):
        find_files([tmp_path], ("jpg",))
