"""The corpora that come as recordings with a transcript each, on a miniature of their layout."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from multimodal_attn.data.datasets.common_voice import CommonVoice
from multimodal_attn.data.datasets.librispeech import LibriSpeech
from multimodal_attn.data.datasets.ljspeech import LJSpeech
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.runs.data import build_data


def record(path: Path, seconds: float, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(round(seconds * rate)) / 5), rate)


@pytest.fixture
def librispeech(tmp_path: Path) -> Path:
    for subset, speaker in (("train-clean-100", "19"), ("train-clean-360", "100"), ("dev-clean", "84")):
        for chapter in ("198", "227"):
            folder, start = tmp_path / subset / speaker / chapter, f"{speaker}-{chapter}"
            for number in range(2):
                record(folder / f"{start}-000{number}.flac", 0.5 + number, 16000)
            (folder / f"{start}.trans.txt").write_text(f"{start}-0000 I DON'T KNOW\n{start}-0001 MISTER {speaker}\n")
    return tmp_path


def test_librispeech(librispeech: Path) -> None:
    found = pickle.loads(pickle.dumps(LibriSpeech("train", librispeech)))
    assert [entry.key for entry in found.entries] == [
        "19-198-0000",
        "19-198-0001",
        "19-227-0000",
        "19-227-0001",
    ]
    assert found.texts() == ["i don't know", "mister 19"] * 2
    assert found.lengths() == [0.5, 1.5, 0.5, 1.5]
    assert found[1].source.shape == (24000,)
    assert found[1].targets == found.entries[1].targets
    assert not found.skipped
    both = LibriSpeech("train", librispeech, train=["train-clean-100", "train-clean-360"])
    assert (len(both), len(LibriSpeech("val", librispeech))) == (8, 4)


def test_librispeech_lists_what_it_leaves_out(librispeech: Path) -> None:
    folder = librispeech / "dev-clean" / "84" / "198"
    (folder / "84-198-0000.flac").unlink()
    record(folder / "84-198-0002.flac", 0.5, 16000)
    (folder.parent / "227" / "84-227.trans.txt").write_text("84-227-0000\n\n84-227-0001 YES\n")
    found = LibriSpeech("val", librispeech)
    assert found.texts() == ["mister 84", "yes"]
    reasons = {Path(error.path).name: error.reason for error in found.skipped}
    assert reasons.keys() == {"84-198-0000.flac", "84-198-0002.flac", "84-227-0000.flac"}
    assert reasons["84-198-0002.flac"] == "has no line in 84-198.trans.txt"
    assert reasons["84-227-0000.flac"] == "has no word in its transcript"


def test_librispeech_names_what_is_missing(librispeech: Path) -> None:
    with pytest.raises(
        ValueError, match=r"data.root: .* has no folder 'test-clean' of data.test; expected SUBSET/SPEAK"
    ):
        LibriSpeech("test", librispeech)
    (librispeech / "test-clean").mkdir()
    with pytest.raises(ValueError, match=r"data.root: '.*test-clean' has no SPEAKER/CHAPTER/\*.trans.txt"):
        LibriSpeech("test", librispeech)


HEADER = "client_id\tpath\tsentence\tup_votes\n"


@pytest.fixture
def common_voice(tmp_path: Path) -> Path:
    for number in range(3):
        record(tmp_path / "clips" / f"common_voice_cy_{number}.mp3", 0.5 + number, 16000)
    rows = ['common_voice_cy_0.mp3\t"Bore da," meddai\u2019r dyn.\t2', "common_voice_cy_1\tÂ phwy?\t2"]
    (tmp_path / "train.tsv").write_text(HEADER + "".join(f"ab\t{row}\n" for row in rows))
    (tmp_path / "dev.tsv").write_text(f"{HEADER}cd\tcommon_voice_cy_2.mp3\tIe\t2\n")
    return tmp_path


def test_common_voice(common_voice: Path) -> None:
    found = CommonVoice("train", common_voice)
    assert found.texts() == ["bore da meddai'r dyn", "â phwy"]
    assert [found.entries[index].key for index in range(2)] == ["common_voice_cy_0", "common_voice_cy_1"]
    assert found.lengths() == pytest.approx([0.5, 1.5], abs=0.1)  # mp3 has whole frames
    assert found[1].source.shape[0] == pytest.approx(24000, abs=1600)
    assert not found.skipped
    assert CommonVoice("val", common_voice).texts() == ["ie"]
    assert CommonVoice("train", common_voice, train="dev").texts() == ["ie"]


def test_common_voice_takes_durations_from_their_table(common_voice: Path) -> None:
    rows = "clip\tduration[ms]\ncommon_voice_cy_0.mp3\t7000\ncommon_voice_cy_1.mp3\t8500\n"
    (common_voice / "clip_durations.tsv").write_text(rows)
    assert CommonVoice("train", common_voice).lengths() == [7.0, 8.5]
    (common_voice / "clips" / "common_voice_cy_1.mp3").unlink()
    found = CommonVoice("train", common_voice)
    assert found.lengths() == [7.0]
    assert [(Path(error.path).name, error.reason) for error in found.skipped] == [
        ("common_voice_cy_1.mp3", "is missing")
    ]
    (common_voice / "clip_durations.tsv").write_text(rows.replace("8500", "long"))
    with pytest.raises(
        ValueError, match=r"clip_durations.tsv': .*; expected milliseconds in the column duration\[ms\]"
    ):
        CommonVoice("train", common_voice)


def test_common_voice_lists_what_it_leaves_out(common_voice: Path) -> None:
    cells = ("gone.mp3\tna\t2", "common_voice_cy_0.mp3", "common_voice_cy_1.mp3\t?!\t2", "common_voice_cy_2.mp3\tIe\t2")
    rows = "".join(f"ab\t{row}\n" for row in cells)
    (common_voice / "test.tsv").write_text(HEADER + rows)
    found = CommonVoice("test", common_voice)
    assert found.texts() == ["ie"]
    assert [Path(error.path).name for error in found.skipped] == ["test.tsv:3", "gone.mp3", "common_voice_cy_1.mp3"]


def test_common_voice_names_what_is_missing(common_voice: Path) -> None:
    with pytest.raises(ValueError, match=r"data.test: test; '.*' has no test.tsv; expected train.tsv, dev.tsv"):
        CommonVoice("test", common_voice)
    (common_voice / "dev.tsv").write_text("path\ttext\n")
    with pytest.raises(ValueError, match=r"dev.tsv' has the columns path, text; expected sentence"):
        CommonVoice("val", common_voice)
    (common_voice / "clips").rename(common_voice / "audio")
    with pytest.raises(ValueError, match=r"data.root; '.*' has no clips; expected"):
        CommonVoice("train", common_voice)


@pytest.fixture
def ljspeech(tmp_path: Path) -> Path:
    rows = [f'LJ001-{number:04d}|He said "{number}."|He said "no. {number}."' for number in range(12)]
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    for number in range(12):
        record(tmp_path / "wavs" / f"LJ001-{number:04d}.wav", 0.1 * (number + 1), 22050)
    return tmp_path


def test_ljspeech(ljspeech: Path) -> None:
    parts = {split: LJSpeech(split, ljspeech, num_val=2, num_test=3) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 7, "val": 2, "test": 3}
    keys = [part.entries[index].key for part in parts.values() for index in range(len(part))]
    assert sorted(keys) == [f"LJ001-{number:04d}" for number in range(12)]
    train = parts["train"]
    for index in range(7):
        number = int(train.entries[index].key[-4:])
        assert train.texts()[index] == f"he said no {number}"
        assert train.lengths()[index] == pytest.approx(0.1 * (number + 1))
        assert train[index].source.shape[0] == pytest.approx(1600 * (number + 1), abs=1)
    with (ljspeech / "metadata.csv").open("a") as file:
        file.write("LJ001-0012|only one text\nLJ001-0013|a|a\n")
    skipped = [
        Path(error.path).name
        for split in ("train", "val", "test")
        for error in LJSpeech(split, ljspeech, num_val=2, num_test=3).skipped
    ]
    assert sorted(skipped) == ["LJ001-0013.wav", "metadata.csv:13"]


def test_ljspeech_names_what_is_missing(ljspeech: Path) -> None:
    with pytest.raises(ValueError, match=r"data.num_val: 9 and data.num_test: 3; expected less together than the 12"):
        LJSpeech("train", ljspeech, num_val=9, num_test=3)
    (ljspeech / "wavs").rename(ljspeech / "audio")
    with pytest.raises(ValueError, match=r"data.root: '.*' has no wavs; expected metadata.csv \(lines ID"):
        LJSpeech("train", ljspeech)
    (ljspeech / "metadata.csv").unlink()
    with pytest.raises(ValueError, match=r"data.root: '.*' has no metadata.csv"):
        LJSpeech("train", ljspeech)


@pytest.mark.parametrize("name", ["librispeech", "common_voice", "ljspeech"])
def test_their_yamls_make_batches(name: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(name)
    extra = ["data.num_val=2", "data.num_test=2"] if name == "ljspeech" else []
    overrides = ["experiment=listen_attend_spell_grid", f"data={name}", f"data.root={root}", "cache_dir=x", *extra]
    data = build_data(plain(compose("train", overrides)))
    batch = next(iter(data.loader("val", batch_size=2)))
    assert isinstance(data.tokenizer, CharacterTokenizer)
    assert len(batch) >= 1
    first = batch.tokens[0, 0][batch.token_mask[0, 0]].tolist()
    assert data.tokenizer.decode(first) == batch.targets[0][0].text
