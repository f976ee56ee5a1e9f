"""Lists of corpora as editors, programs and half a download leave them: nothing lost, nothing made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.datasets.coco import Coco
from multimodal_attn.data.datasets.common_voice import CommonVoice
from multimodal_attn.data.datasets.dialogsum import DialogSum
from multimodal_attn.data.datasets.flickr8k import Flickr8k
from multimodal_attn.data.datasets.grid import GridCorpus
from multimodal_attn.data.datasets.karpathy import Karpathy
from multimodal_attn.data.datasets.librispeech import LibriSpeech
from multimodal_attn.data.datasets.ljspeech import LJSpeech
from multimodal_attn.data.datasets.manifest import Manifest
from multimodal_attn.data.datasets.parallel_text import ParallelText
from multimodal_attn.data.datasets.text import TextFile


def photos(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name)


def recordings(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.sin(np.arange(8000)), 16000)


def texts(data: Dataset) -> dict[str, list[str]]:
    return {entry.key: [target.text for target in entry.targets] for entry in data.entries}


def reasons(data: Dataset) -> list[str]:
    return [f"{Path(error.path).name}: {error.reason}" for error in data.skipped]


def test_coco(tmp_path: Path) -> None:
    photos(tmp_path / "train2017", "1.jpg", "2.jpg")
    photos(tmp_path, "outside.jpg")
    images = [(1, "1.jpg"), (2, "2.jpg"), ("3", "1.jpg"), (4, "../outside.jpg"), (5, f"{tmp_path}/outside.jpg")]
    captions = [(1, "A dog"), (1, None), (1, 5), ("3", "Listed twice"), (9, "of nothing"), (2, " "), (4, "x"), (5, "x")]
    content = {
        "images": [{"id": number, "file_name": name} for number, name in images],
        "annotations": [{"image_id": number, "caption": caption} for number, caption in captions],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions_train2017.json").write_text(json.dumps(content))
    data = Coco("train", tmp_path)
    assert texts(data) == {"1.jpg": ["a dog", "listed twice"]}
    assert reasons(data) == [
        "captions_train2017.json: annotation 1: caption: None; expected a text",
        "captions_train2017.json: annotation 2: caption: 5; expected a text",
        "captions_train2017.json: annotation 4: caption of an image 9 that is not listed",
        "2.jpg: caption without words: ' '",
        "2.jpg: no caption",
        "outside.jpg: no such file",
        "outside.jpg: no such file",
    ]


def test_karpathy(tmp_path: Path) -> None:
    photos(tmp_path / "images", "a.jpg", "b.jpg")
    listed = [("a.jpg", ["A dog"]), ("a.jpg", ["It runs"]), ("b.jpg", [None, 5, "Fine"])]
    content = {
        "images": [
            {"split": "train", "filename": name, "sentences": [{"raw": raw} for raw in raws]} for name, raws in listed
        ]
    }
    (tmp_path / "k.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    data = Karpathy("train", tmp_path / "k.json", tmp_path / "images")
    assert texts(data) == {"a.jpg": ["a dog", "it runs"], "b.jpg": ["fine"]}
    assert reasons(data) == [f"k.json: image 2: raw: {value}; expected a text" for value in (None, 5)]


def test_flickr8k(tmp_path: Path) -> None:
    photos(tmp_path / "Flicker8k_Dataset", "a.jpg", "b.jpg")
    (tmp_path / "Flickr8k_text").mkdir()
    (tmp_path / "Flickr8k_text" / "Flickr_8k.trainImages.txt").write_bytes(b"\xef\xbb\xbfa.jpg\r\nb.jpg\r\na.jpg\r\n")
    lines = "\ufeffa.jpg#0\tA dog\u2028runs\r\na.jpg#1\tA \u2764\ufe0f dog \u0085 sits\nb.jpg#0\tCo\u00adoperate\n"
    (tmp_path / "Flickr8k_text" / "Flickr8k.token.txt").write_bytes(lines.encode())
    assert texts(Flickr8k("train", tmp_path)) == {"a.jpg": ["a dog runs", "a dog sits"], "b.jpg": ["cooperate"]}


def test_common_voice(tmp_path: Path) -> None:
    recordings(*(tmp_path / "clips" / f"c{number}.mp3" for number in range(5)), tmp_path / "outside.mp3")
    rows = ['c0.mp3\t"Open quote', "c1.mp3\tA\u2028line", "c2.mp3\tcarriage\rreturn", "../outside.mp3\tno", "c3.mp3"]
    (tmp_path / "train.tsv").write_bytes(("\ufeffpath\tsentence\r\n" + "\n".join(rows) + "\n").encode())
    (tmp_path / "clip_durations.tsv").write_text("clip\tduration[ms]\nc0.mp3\t-1\nc1.mp3\tnan\nc2.mp3\t500\n")
    data = CommonVoice("train", tmp_path)
    assert texts(data) == {"c0": ["open quote"], "c1": ["a line"], "c2": ["carriage return"]}
    assert data.lengths() == [0.5] * 3
    assert [reason.partition(":")[0] for reason in reasons(data)] == ["train.tsv", "outside.mp3"]


def test_librispeech(tmp_path: Path) -> None:
    folder = tmp_path / "train-clean-100" / "1" / "2"
    recordings(*(folder / f"1-2-000{number}.flac" for number in range(3)))
    lines = "\ufeff1-2-0000 HELLO\n1-2-0001\tCAF\u0085WORLD\n1-2-0002 END\n1-2-0002 END\n"
    (folder / "1-2.trans.txt").write_bytes(lines.encode())
    data = LibriSpeech("train", tmp_path)
    assert texts(data) == {"1-2-0000": ["hello"], "1-2-0001": ["caf world"], "1-2-0002": ["end"]}
    assert not data.skipped


def test_ljspeech(tmp_path: Path) -> None:
    recordings(*(tmp_path / "wavs" / f"L{number}.wav" for number in range(4)))
    lines = "\ufeff" + "".join(f"L{number} | x | Text {number}\r\n" for number in range(4))
    (tmp_path / "metadata.csv").write_bytes(lines.encode())
    parts = [LJSpeech(split, tmp_path, 1, 1) for split in ("train", "val", "test")]
    assert {key: found for part in parts for key, found in texts(part).items()} == {
        f"L{number}": [f"text {number}"] for number in range(4)
    }
    assert not parts[0].skipped


def test_grid(tmp_path: Path) -> None:
    recordings(tmp_path / "s1" / "a.wav", tmp_path / "s1" / "b.wav")
    (tmp_path / "train.txt").write_bytes("\ufeffa\r\nb\n".encode())
    (tmp_path / "align").mkdir()
    (tmp_path / "align" / "a.align").write_bytes("\ufeff0 100 sil\r\n100 200 bin\r\n".encode())
    (tmp_path / "align" / "b.align").write_text("200 100 bin\n")
    data = GridCorpus("train", tmp_path)
    assert texts(data) == {"a": ["bin"]}
    assert reasons(data) == ["b.align: has a word that ends before it starts"]


@pytest.mark.parametrize("bad", ["caf\u00e9".encode("latin-1"), "a\tb".encode("utf-16"), b"a\0b"])
def test_what_is_not_utf_8_names_key_file_and_line(tmp_path: Path, bad: bytes) -> None:
    def write(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bad if bad.startswith(b"\xff") else b"good\n" + bad + b"\n")
        return path

    for name in ("Flickr8k_text/Flickr_8k.trainImages.txt", "train.tsv", "metadata.csv", "train.txt", "train.en"):
        write(name)
    write("train-clean-100/1/2/1-2.trans.txt"), write("annotations/captions_train2017.json"), write("train.de")
    (tmp_path / "clips").mkdir()
    (tmp_path / "wavs").mkdir()
    cases: list[tuple[Callable[[], Dataset], str]] = [
        (lambda: Flickr8k("train", tmp_path), "Flickr_8k.trainImages.txt"),
        (lambda: CommonVoice("train", tmp_path), "train.tsv"),
        (lambda: LJSpeech("train", tmp_path), "metadata.csv"),
        (lambda: LibriSpeech("train", tmp_path), "1-2.trans.txt"),
        (lambda: GridCorpus("train", tmp_path), "train.txt"),
        (lambda: Coco("train", tmp_path), "captions_train2017.json"),
        (lambda: Karpathy("train", tmp_path / "metadata.csv", tmp_path), "metadata.csv"),
        (lambda: ParallelText("train", tmp_path, "de", "en"), "train.de"),
        (lambda: TextFile("train", tmp_path / "train.txt"), "train.txt"),
        (lambda: Manifest("train", tmp_path / "metadata.csv"), "metadata.csv"),
    ]
    for make, name in cases:
        with pytest.raises(
            ValueError, match=rf"^data\.(root|train|captions): '.*{name}(:2)?' (is not UTF-8|is UTF-16|has a NUL)"
        ):
            make()


def test_cells_without_a_text_are_listed(tmp_path: Path) -> None:
    photos(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "a.csv").write_text("image,caption\n1.jpg,nan\n1.jpg,NULL\n2.jpg,\n2.jpg,A nan and null\n")
    data = Manifest("train", tmp_path / "a.csv", tmp_path / "a.csv")
    assert texts(data) == {"2.jpg": ["a nan and null"]}
    (tmp_path / "a.jsonl").write_text('{"image": "1.jpg", "caption": 5}\n{"image": "2.jpg", "caption": "ok"}\n')
    data = Manifest("train", tmp_path / "a.jsonl", tmp_path / "a.jsonl")
    assert texts(data) == {"2.jpg": ["ok"]}
    assert reasons(data) == ["a.jsonl:1: no caption: [5]; expected a text"]


ODD_CELLS = (None, "", " ", 3, True, [], {}, ["x"], "\u200d", "\ufeff", "a\u2028b", "\u0000", "\ud800", "x" * 100_000)


def test_dialogsum_counts_every_line(tmp_path: Path) -> None:
    good = {"id": "1", "dialogue": "#Person1#: Hi .", "summary": "they greet ."}
    odd = [{**good, key: cell} for key in good for cell in ODD_CELLS]
    odd += [{key: value for key, value in good.items() if key != left_out} for left_out in good]
    lines = [json.dumps(line).encode() for line in (good, *odd)]
    lines += [
        b"no json",
        b"[1]",
        b"null",
        b"{",
        b'"x"',
        b"1" * 5000,
        b"[" * 100_000,
        b'{"dialogue": 1e999}',
        b"",
        b" \t",
    ]
    (tmp_path / "train.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    data = DialogSum("train", tmp_path)
    assert len(data) + len(data.skipped) == len(lines) - 2  # those without anything
    assert all(":" in error.path and error.reason for error in data.skipped)
    assert all(isinstance(data.read(index), str) and data.read(index).strip() for index in range(len(data)))
    for entry in data.entries:
        json.dumps(entry.key, ensure_ascii=False).encode()
        assert all(target.text.strip() for target in entry.targets)


def test_pairs_of_a_table_count_every_row(tmp_path: Path) -> None:
    rows = ["a dog,ein hund", "a cat", "a,b,c", '"quoted, here",ja', ",leer", "leer,", "\u200d,x", "x,\u200d"]
    rows += ["null,none", "=1+1,@x", "a\u2028b,c", "x" * 200_000 + ",y", "  spaced  ,  out  ", "'it''s','so'"]
    for ending, separator in ((".csv", ","), (".tsv", "\t")):
        path = tmp_path / f"table{ending}"
        lines = ["source,target", *rows, '"",""']  # the last is as good as empty
        path.write_text("\r\n".join(line.replace(",", separator) for line in lines), encoding="utf-8-sig", newline="")
        data = Manifest("train", train=path, val=path)
        assert data.reader.modality == "text"
        assert len(data) + len(data.skipped) == len(rows), reasons(data)
        assert texts(data)[f"{path.name}:2"] == ["ein hund"]
        assert "=1+1" in [data.read(index) for index in range(len(data))]
