from __future__ import annotations

from pathlib import Path

import pytest

from multimodal_attn.data.reading.files import digest, file_name, file_names, find_files, local_path, write_skipped
from multimodal_attn.types import UnreadableError


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


KEYS = [
    *("a/b", "a-b", "a\\b", "a:b", "../a-b", "/a-b", "a\nb", "..", ".", ".hidden", "", "caf\udce9.wav", "half \ud83d"),
    *("x" * 300, "x" * 301, "\u00fc" * 150, "\u00fc" * 151, "caf\u00e9.wav"),
]


def test_names_of_files_are_short_unique_and_lie_in_their_folder(tmp_path: Path) -> None:
    names = [file_name(key) for key in KEYS]
    assert len(set(names)) == len(KEYS)
    for name in names:
        (tmp_path / f"{name}.TextGrid").write_text("")
        assert (tmp_path / f"{name}.TextGrid").resolve().parent == tmp_path.resolve()
    assert names[1] == "a-b"
    assert names[-1] == "caf\u00e9.wav"
    assert file_name("a/b") == names[0]


def test_recordings_of_one_name_get_names_of_their_own() -> None:
    paths = [Path("a/x.wav"), Path("b/x.wav"), Path("a/X.flac"), Path("a/y.wav")]
    names = file_names(paths)
    assert len({name.casefold() for name in names}) == 4
    assert names[3] == "y"
    assert all(name.casefold().startswith("x-") for name in names[:3])


def test_skipped_names_are_written_as_they_are(tmp_path: Path) -> None:
    write_skipped(tmp_path / "a.txt", [UnreadableError("caf\udce9\n.wav", "bad"), UnreadableError("\u00fc", "bad")])
    assert (tmp_path / "a.txt").read_bytes() == b"caf\xe9\\n.wav\tbad\n" + "\u00fc\tbad\n".encode()
    write_skipped(tmp_path / "a.txt", [UnreadableError("half \ud83d", "bad")])
    assert (tmp_path / "a.txt").read_bytes() == b"half \\ud83d\tbad\n"


def test_digest_takes_any_name() -> None:
    assert digest("caf\udce9") != digest("caf")
    assert local_path("caf\u00e9/\udce9") == "caf\u00e9/\udce9"
