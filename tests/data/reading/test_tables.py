from __future__ import annotations

from pathlib import Path

import pytest

from multimodal_attn.data.reading.json_files import read_json
from multimodal_attn.data.reading.tables import read_table


def table(folder: Path, content: str | bytes, name: str = "a.csv") -> tuple[list[dict], list[tuple[int, str]]]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_table(folder / name, "data.train")
    return [cells for _, cells in found.records], found.bad


@pytest.mark.parametrize(
    "content",
    [
        "image,caption\n1.jpg,a dog\n",
        "\ufeffimage,caption\r\n1.jpg,a dog\r\n",
        "image,caption\r1.jpg,a dog\r",
        "Image;Caption\n1.jpg;a dog\n",
        "\n\nimage\tcaption\n\n1.jpg\ta dog\n",
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, content: str) -> None:
    assert table(tmp_path, content) == ([{"image": "1.jpg", "caption": "a dog"}], [])


def test_texts_of_several_lines_are_read(tmp_path: Path) -> None:
    texts = ["a dog\nand a cat", "a dog,\nbig, and\na cat", "1.\n2. and, so on"]
    rows = "".join(f'{number}.jpg,"{text}"\n' for number, text in enumerate(texts))
    records, bad = table(tmp_path, f"image,caption\n{rows}")
    assert ([cells["caption"] for cells in records], bad) == (texts, [])


def test_dialogues_are_read_although_their_lines_look_like_rows(tmp_path: Path) -> None:
    dialogues = [
        "A: Hi, Mr. Smith\nB: Bye, Mr. Smith",
        "A: Hi, Bob.\nB: Hi, Ann.\nA: Bye, Bob.\nB: Bye.",
        "\n".join(["A: Well, yes."] * 200),
    ]
    rows = "".join(f'"{dialogue}",B meets Mr. Smith\n' for dialogue in dialogues)
    records, bad = table(tmp_path, f'source,target\n{rows},"\nShort."\n')
    assert ([cells["source"] for cells in records], bad) == ([*dialogues, ""], [])


def test_damaged_rows_are_listed_and_the_others_kept(tmp_path: Path) -> None:
    long = "x" * 200_000
    rows = ['1.jpg,"hi" says a dog', "2.jpg", "3.jpg,one,two", f"4.jpg,{long}", "5.jpg,fine"]
    records, bad = table(tmp_path, "image,caption\n" + "\n".join(rows) + "\n")
    assert [cells["image"] for cells in records] == ["5.jpg"]
    assert [line for line, _ in bad] == [2, 3, 4, 5]
    assert "field larger than" in bad[3][1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('image,caption\n1.jpg,"a dog\n2.jpg,b\n', "a quotation mark in line 2 is never closed"),
        (
            'image,caption\n1.jpg,"a dog\n2.jpg,a cat\n3.jpg,a bird"\n',
            "mark in line 2 is closed as late as line 4, .* rows",
        ),
        ('caption;image\n"a dog;1.jpg\na cat;2.JPG\na bird";3.jpg\n', "mark in line 2 is closed as late as line 4"),
        ('source,target\na,"b\nc,d\ne,f\ng,h\ni"\n', "mark in line 2 is closed as late as line 6"),
        ('image,caption\n1.jpg,"a' + "\nx" * 200 + '"\n', "mark in line 2 is closed as late as line 202"),
        ("image,image,caption\n", "a column occurs twice in image,image,caption"),
        ("image,caption\n1.jpg,caf\xe9\n".encode("latin-1"), r"a.csv:2' is not UTF-8 \(byte 0xe9"),
        ("image,caption\n".encode("utf-16"), r"a.csv' is UTF-16; save it as UTF-8"),
        ("image,caption\n1.jpg,a\0b\n", r"a.csv:2' has a NUL character"),
    ],
)
def test_damaged_tables_are_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=rf"data.train: '.*{message}"):
        table(tmp_path, content)


def test_damaged_objects_are_listed(tmp_path: Path) -> None:
    lines = ['{"image": "1.jpg", "caption": "a"}', "{", "[1]", "[" * 100_000, '{"caption": "\\ud83d"}', "5"]
    records, bad = table(tmp_path, "\n".join(lines) + "\n", "a.jsonl")
    assert records == [{"image": "1.jpg", "caption": "a"}]
    assert [line for line, _ in bad] == [2, 3, 4, 5, 6]
    assert bad[2][1] == "not JSON (nested too deep)"
    assert "surrogates not allowed" in bad[3][1]


def test_a_list_of_objects_is_a_table(tmp_path: Path) -> None:
    records, bad = table(tmp_path, '[\n{"Image": "1.jpg", "caption": "a"}, 5, {"caption": "\\ud83d"}]', "a.json")
    assert records == [{"image": "1.jpg", "caption": "a"}]
    assert [line for line, _ in bad] == [2, 3]
    with pytest.raises(ValueError, match=r"data.train: '.*a.json' holds something else; expected a list of objects"):
        table(tmp_path, '{"image": "1.jpg", "caption": "a"}', "a.json")
    with pytest.raises(ValueError, match=r"data.train: '.*a.json' is not json .*; expected a list of objects"):
        table(tmp_path, "[", "a.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, r"a.json' is not json \(nested too deep\)"),
        (b'{"a": \n 1,}', r"a.json' is not json \(.*line 2"),
        (b"9" * 5000, r"a.json' is not json \(Exceeds the limit"),
        (b'{"a": \n"\xe9"}', r"a.json:2' is not UTF-8"),
    ],
)
def test_damaged_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"data.root: '.*{message}.*; expected captions"):
        read_json(tmp_path / "a.json", "data.root", "captions")
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json", "data.root", "captions") == {"a": 1}
