from __future__ import annotations

import hashlib
import itertools
import json
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import webdataset
from PIL import Image

from multimodal_attn.commands.shards import verify_shards, write_shards
from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.datasets.digits import ConnectedDigits
from multimodal_attn.data.datasets.flickr8k import Flickr8k
from multimodal_attn.data.datasets.grid import GridCorpus
from multimodal_attn.data.datasets.manifest import Manifest
from multimodal_attn.data.datasets.shapes import Shapes
from multimodal_attn.data.datasets.shards import PLACES, Shards
from multimodal_attn.data.datasets.text import TextFile
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.loading.features import FrozenEncoder
from multimodal_attn.data.loading.sharding import write_split
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.types import Example, Target, UnreadableError
from tests.data.datasets.test_flickr8k import ANNOTATION, SENTENCES

SCENES = ["data=shapes", "data.num_examples={train:203,val:5}", "data.image_size=48"]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """203 scenes in tars of unequal numbers; only to be read."""
    folder = tmp_path_factory.mktemp("scenes") / "shards"
    index, skipped = write_shards(SCENES, folder, ["train", "val"], shard_megabytes=0.2)
    assert not skipped
    assert len(index["splits"]["train"]["shards"]) > 5
    return folder


@pytest.fixture
def copy(scenes: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    for file in scenes.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def read(source: Dataset, index: int) -> Example | str:
    """An example, or the reason why it is none."""
    try:
        return source[index]
    except UnreadableError as error:
        return error.reason


def assert_equal(shards: Shards, source: Dataset) -> None:
    assert len(shards) == len(source)
    assert shards.texts() == source.texts()
    assert shards.lengths() == source.lengths()
    for index in range(len(source)):
        one, other = read(shards, index), read(source, index)
        if isinstance(one, Example) and isinstance(other, Example):
            assert (one.key, one.targets) == (other.key, other.targets)
            assert shards.entries[index].key == other.key
            assert shards.entries[index].targets == other.targets
            assert torch.equal(one.source, other.source)
        else:
            assert type(one) is type(other)


# -------------------------------------------------------------------------------------------------- what comes back


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_photos_come_back_with_their_regions(tmp_path: Path, fit: str) -> None:
    root = tmp_path / "flickr8k"
    texts = root / "Flickr8k_text"
    photos = root / "Flicker8k_Dataset"
    texts.mkdir(parents=True)
    photos.mkdir()
    for name, text in (("Sentences/11.txt", SENTENCES), ("Annotations/11.xml", ANNOTATION)):
        path = root / "flickr30k_entities" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    for name in ("11_a", "22_b", "33_c"):
        pixels = np.random.default_rng(0).integers(0, 256, (60, 120, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{name}.jpg")
    whole = (photos / "22_b.jpg").read_bytes()
    (photos / "22_b.jpg").write_bytes(whole[: len(whole) // 2])
    captions = {"11_a": "A man 's two dogs run on the beach .", "22_b": "A wall .", "33_c": "Another wall ."}
    (texts / "Flickr8k.token.txt").write_text(
        "".join(f"{n}.jpg#{i}\t{t}\n" for n, t in captions.items() for i in (0, 1))
    )
    (texts / "Flickr_8k.trainImages.txt").write_text("11_a.jpg\n44_d.jpg\n22_b.jpg\n33_c.jpg\n")

    index, skipped = write_shards(["data=flickr8k", f"data.root={root}"], tmp_path / "shards", ["train"])
    assert [Path(error.path).name for error in skipped] == ["44_d.jpg"]
    assert (tmp_path / "shards" / "skipped.txt").read_text().count("\n") == 1
    assert index["modality"] == "picture"
    shards = pickle.loads(pickle.dumps(Shards("train", tmp_path / "shards", image_size=24, fit=fit)))
    assert_equal(shards, Flickr8k("train", root, image_size=24, fit=fit))
    assert shards[0].targets[0].boxes
    error = read(shards, 1)
    assert isinstance(error, str)
    assert error.startswith("not a readable picture (")
    # Nothing is lost: the tar holds the files as they are, where any reader of WebDataset finds them.
    members = list(webdataset.WebDataset(str(tmp_path / "shards" / "train-00000.tar"), shardshuffle=False))
    assert [m["jpg"] for m in members] == [(photos / f"{name}.jpg").read_bytes() for name in captions]
    assert [json.loads(m["json"])["key"] for m in members] == [f"{name}.jpg" for name in captions]


def test_recordings_come_back_with_their_word_times(tmp_path: Path) -> None:
    root = tmp_path / "grid"
    (root / "align").mkdir(parents=True)
    (root / "s1").mkdir()
    for key, suffix, samples in (("bbaf3s", "flac", 25000), ("lwbs9a", "wav", 20000)):
        noise = 0.1 * np.random.default_rng(0).standard_normal(samples)
        soundfile.write(root / "s1" / f"{key}.{suffix}", noise, 25000)
        (root / "align" / f"{key}.align").write_text("0 6250 sil\n6250 12500 bin\n13000 15000 blue\n")
    (root / "train.txt").write_text("bbaf3s\nlwbs9a\n")
    index, _ = write_shards(["data=grid", f"data.root={root}"], tmp_path / "shards", ["train"])
    assert index["modality"] == "recording"
    assert index["splits"]["train"]["seconds"] == 1.8
    assert_equal(Shards("train", tmp_path / "shards"), GridCorpus("train", root))
    assert_equal(Shards("train", tmp_path / "shards", sample_rate=8000), GridCorpus("train", root, sample_rate=8000))
    with tarfile.open(tmp_path / "shards" / "train-00000.tar") as tar:
        assert sorted(tar.getnames()) == ["000000000.flac", "000000000.json", "000000001.json", "000000001.wav"]


def test_what_has_no_file_is_encoded_without_loss(tmp_path: Path, scenes: Path) -> None:
    for split, number in (("train", 203), ("val", 5)):
        assert_equal(Shards(split, scenes, image_size=48), Shapes(split, number, image_size=48))

    (tmp_path / "recordings").mkdir()
    for digit, speaker, number in itertools.product(range(10), ("anna", "zoe"), (10, 11)):
        level = np.sin(np.arange(500 + 31 * digit) * (1 + number))
        soundfile.write(tmp_path / "recordings" / f"{digit}_{speaker}_{number}.wav", level, 8000)
    write_shards(["data=digits", f"data.root={tmp_path}", "data.num_examples=7"], tmp_path / "digits", ["train"])
    digits, shards = ConnectedDigits("train", tmp_path, num_examples=7), Shards("train", tmp_path / "digits")
    for index in range(7):
        assert torch.equal(shards[index].source, digits[index].source)
        assert shards[index].targets == digits[index].targets == shards.entries[index].targets
        assert shards[index].targets[0].times
    assert shards.lengths() == digits.lengths()

    (tmp_path / "train.txt").write_text("First line.\nsecond ünë\n")
    write_shards(["data=text", f"data.train={tmp_path}/train.txt", "data.val=null"], tmp_path / "texts", ["train"])
    shards = Shards("train", tmp_path / "texts")
    assert shards.reader.modality == "text"
    texts = TextFile("train", tmp_path / "train.txt")
    assert shards.texts() == texts.texts() == ["first line", "second ünë"]
    assert shards.lengths() == texts.lengths()
    assert shards[1].targets == (Target("second ünë"),)


def test_an_unreadable_file_is_left_out_and_listed(tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (9, 9)).save(tmp_path / f"{name}.png")
    (tmp_path / "train.csv").write_text("image,caption\na.png,one\nb.png,two\nc.png,three\n")
    (tmp_path / "val.csv").write_text("image,caption\na.png,one\n")
    source = Manifest("train", tmp_path / "train.csv", tmp_path / "val.csv")
    (tmp_path / "b.png").unlink()
    content, skipped = write_split(source, "train", tmp_path, 10_000_000)
    assert [(error.path, error.reason) for error in skipped] == [
        (str(tmp_path / "b.png"), "cannot be read (No such file or directory)")
    ]
    assert content["examples"] == content["shards"][0]["examples"] == 2
    assert [json.loads(line)["key"] for line in (tmp_path / "train.jsonl").read_text().splitlines()] == [
        "a.png",
        "c.png",
    ]
    (tmp_path / "a.png").unlink()
    (tmp_path / "c.png").unlink()
    with pytest.raises(ValueError, match=r"the val split holds no readable example\n  .*a.png: cannot be read"):
        write_split(source, "val", tmp_path, 10_000_000)


# ----------------------------------------------------------------------------------------------------- training with it


def module_of(folder: Path, **settings) -> DataModule:
    data = DataModule(
        lambda split: Shards(split, folder, image_size=48), CharacterTokenizer(), batch_size=8, seed=3, **settings
    )
    data.fit_tokenizers()
    return data


def keys_of(data: DataModule) -> list[list[str]]:
    return [batch.keys for batch in data.train_dataloader()]


def test_two_ranks_of_two_workers_see_every_example_once(scenes: Path) -> None:
    seen = []
    for rank in range(2):
        data = module_of(scenes, num_workers=2)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        seen.append(keys_of(data))
    assert len(seen[0]) == len(seen[1])  # 203 examples in tars of unequal numbers
    assert sorted(key for rank in seen for keys in rank for key in keys) == [f"train-{i:06d}" for i in range(203)]


def test_resumed_epoch_gives_the_same_rest(scenes: Path) -> None:
    whole = keys_of(module_of(scenes))
    assert whole == keys_of(module_of(scenes))
    resumed = module_of(scenes, num_workers=2)
    resumed.begin_at(0, 11)
    assert keys_of(resumed) == whole[11:]
    loader = module_of(scenes).train_dataloader()
    loader.batch_sampler.set_epoch(1)  # type: ignore[union-attr]
    assert [batch.keys for batch in loader] != whole


def test_long_recordings_and_cached_features_need_no_other_way(tmp_path: Path, scenes: Path) -> None:
    rows = []
    for index, seconds in enumerate((0.2, 0.5, 0.8)):
        soundfile.write(tmp_path / f"{index}.wav", np.full(round(16000 * seconds), 0.1), 16000)
        rows.append(f"{index}.wav,word {index}\n")
    (tmp_path / "train.csv").write_text("audio,text\n" + "".join(rows))
    overrides = ["data=manifest", f"data.train={tmp_path}/train.csv", f"data.val={tmp_path}/train.csv"]
    write_shards(overrides, tmp_path / "shards", ["train"])
    data = module_of(tmp_path / "shards", max_seconds=0.6, batch_seconds=1.0)
    assert data.tokenizer.decode(data.tokenizer.encode("word 1")) == "word 1"
    assert sorted(key for keys in keys_of(data) for key in keys) == ["0.wav", "1.wav"]
    assert [error.path for error in data.skipped("train")] == ["2.wav"]

    calls = []

    def extract(pictures: list[torch.Tensor]) -> list[torch.Tensor]:
        calls.append(len(pictures))
        return list(torch.stack(pictures).float().mean((2, 3))[:, None] / 255)

    for _ in range(2):
        pictures = module_of(scenes)
        pictures.cache_features("val", [FrozenEncoder("mean", extract)], tmp_path / "cache")
        (batch,) = pictures.val_dataloader()
        ((features, _),) = batch.features
        expected = [float(Shards("val", scenes, image_size=48)[i].source.float().mean() / 255) for i in range(5)]
        assert features.float().mean((1, 2)).tolist() == pytest.approx(expected, abs=1e-3)
    assert sum(calls) == 5  # the second time from the cache


# ------------------------------------------------------------------------------------------------------------ damage


def test_a_damaged_member_is_skipped_and_listed(copy: Path) -> None:
    index = json.loads((copy / "index.json").read_text())
    tar = copy / index["splits"]["train"]["shards"][1]["file"]
    with tarfile.open(tar) as members:
        info = next(info for info in members if info.name.endswith(".png"))
    content = bytearray(tar.read_bytes())
    content[info.offset_data + info.size // 2] ^= 1
    tar.write_bytes(content)
    data = module_of(copy)
    skipped = [error for batch in data.train_dataloader() for error in batch.skipped]
    assert [error.reason for error in skipped] == ["differs from its checksum"]
    assert skipped[0].path == f"{tar}:train-{int(info.name[:-4]):06d}"
    with pytest.raises(ValueError, match=rf"'{tar}' is damaged: it differs from the sha256 in 'index.json'"):
        verify_shards(copy)


def test_a_tar_that_vanishes_in_training_is_skipped(copy: Path) -> None:
    shards = Shards("val", copy)
    (copy / "val-00000.tar").unlink()
    with pytest.raises(UnreadableError, match=r"val-00000.tar:val-000000: cannot be read \(No such file"):
        shards[0]


def test_missing_and_damaged_files_are_named(copy: Path) -> None:
    assert verify_shards(copy) > 8
    with pytest.raises(ValueError, match=r"split: test; '.*index.json' has train, val"):
        Shards("test", copy)
    tar, places, index = copy / "val-00000.tar", copy / "val.places", copy / "index.json"
    size = tar.stat().st_size
    tar.write_bytes(tar.read_bytes()[:1000])
    with pytest.raises(ValueError, match=rf"data.root: '{tar}' has 1,000 bytes; 'index.json' expects {size:,}"):
        Shards("val", copy)
    tar.unlink()
    with pytest.raises(ValueError, match=rf"data.root: '{tar}' is missing; 'index.json' expects it with {size:,} by"):
        Shards("val", copy)
    places.write_bytes(bytes(places.stat().st_size))
    tar.write_bytes(bytes(size))
    with pytest.raises(ValueError, match=rf"data.root: '{places}' is damaged"):
        Shards("val", copy)
    assert len(Shards("train", copy)) == 203  # the splits do not need each other's files
    for content in (
        "",
        "[]",
        '{"version": 99, "modality": "picture", "splits": {}}',
        '{"version": 2, "splits": {"val": 3}}',
    ):
        index.write_text(content)
        with pytest.raises(
            ValueError, match=rf"data.root: '{index}' is no(t json| index of shards) .*; expected a folder that"
        ):
            Shards("val", copy)
    index.unlink()
    with pytest.raises(ValueError, match=rf"data.root: '{index}' is missing; expected a folder that `python -m"):
        Shards("val", copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "a/b", "", None, "a\\b"])
@pytest.mark.parametrize("part", ["lists", "shards"])
def test_an_index_that_leads_out_of_its_folder_is_refused(copy: Path, name: str | None, part: str) -> None:
    index = json.loads((copy / "index.json").read_text())
    index["splits"]["val"][part][0]["file"] = name
    (copy / "index.json").write_text(json.dumps(index))
    with pytest.raises(
        ValueError, match=r"index.json' is no index of shards .*the name, bytes and sha256 of every file"
    ):
        Shards("val", copy)


def test_a_link_that_leads_out_of_the_folder_is_refused(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("elsewhere") / "tar"
    (copy / "val-00000.tar").rename(place)
    (copy / "val-00000.tar").symlink_to(place)
    with pytest.raises(ValueError, match=r"val-00000.tar' is missing"):
        Shards("val", copy)


@pytest.mark.parametrize("size", [-1, 1.5, True, "5", 10**30])
def test_sizes_in_an_index_are_checked(copy: Path, size: object) -> None:
    index = json.loads((copy / "index.json").read_text())
    index["splits"]["val"]["shards"][0]["bytes"] = size
    (copy / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"is no index of shards|val-00000.tar' has"):
        Shards("val", copy)


def reindexed(folder: Path, name: str, content: bytes) -> None:
    """Another content of a list, of which the index says what is there."""
    (folder / name).write_bytes(content)
    index = json.loads((folder / "index.json").read_text())
    for file in index["splits"]["val"]["lists"]:
        if file["file"] == name:
            file |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("field", "value"),
    [("shard", 2**31), ("offset", 2**63), ("size", 2**40), ("record", 2**40), ("length", np.nan), ("length", -1.0)],
)
def test_places_beyond_the_end_are_refused_before_anything_is_read(copy: Path, field: str, value: float) -> None:
    places = np.fromfile(copy / "val.places", PLACES)
    places[field][3] = value
    reindexed(copy, "val.places", places.tobytes())
    with pytest.raises(ValueError, match=r"data.root: '.*val.places': example 3 lies beyond the end of a file"):
        Shards("val", copy)
    reindexed(copy, "val.places", places.tobytes()[:-1])
    with pytest.raises(ValueError, match=r"val.places' has \d+ bytes; expected a multiple of 40"):
        Shards("val", copy)


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"key": 5, "targets": []}', b'{"key": "a", "targets": [{"text": 5}]}'])
def test_records_that_are_none_are_named(copy: Path, line: bytes) -> None:
    lines = (copy / "val.jsonl").read_bytes().split(b"\n")
    lines[0] = line.ljust(len(lines[0]))
    reindexed(copy, "val.jsonl", b"\n".join(lines))
    found = Shards("val", copy)
    for ask in (lambda: found[0], found.texts, lambda: list(found.entries)):
        with pytest.raises(UnreadableError, match=r"val.jsonl:1: is no record of an example"):
            ask()
    assert found[1].source.shape == (3, 224, 224)


def test_what_cannot_be_written_is_refused(tmp_path: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"--output: '.*' has something in it; expected a new or an empty folder"):
        write_shards(SCENES, scenes, ["val"])
    with pytest.raises(ValueError, match=r"data: shards; expected the data set that they were written from"):
        write_shards(["data=shards", f"data.root={scenes}"], out, ["val"])
    with pytest.raises(ValueError, match=r"--shard-megabytes: 0; expected more than 0"):
        write_shards(SCENES, out, ["val"], 0)
    with pytest.raises(ValueError, match=r"data.root"):
        write_shards(["data=flickr8k"], out, ["val"])
    with pytest.raises(ValueError, match=r"nothing"):
        write_shards(["data=nothing"], out, ["val"])
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("image,caption\na.png,one\n")
    overrides = ["data=manifest", f"data.train={tmp_path}/a.csv", f"data.val={tmp_path}/a.csv"]
    with pytest.raises(ValueError, match=r"data.test: missing; .*of the test split; --splits names those to write"):
        write_shards(overrides, out)
    with pytest.raises(ValueError, match=r"data.fit: 'crop'; expected squash: shards hold whole photos"):
        write_shards([*overrides, "data.fit=crop"], out, ["val"])
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"data: no example can be read"):
        write_shards(overrides, out, ["val"])
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ValueError, match=r"shards: webdataset missing; .*multimodal_attn\[shards\]"):
        write_shards(SCENES, out, ["val"])
    assert not (out / "index.json").exists()


# ------------------------------------------------------------------------------------------------------------ memory

MEASURE = """
import os, sys
from pathlib import Path
import torch
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.loading.features import FrozenEncoder
from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries
from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.datasets.shards import INDEX, VERSION, Shards
from multimodal_attn.data.loading.sharding import write_split
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.types import Example, Target
import json

class Noise(Dataset):
    def __init__(self, number, samples):
        self.samples = samples
        super().__init__(RecordingReader(), LazyEntries(number, self.entry))
    def entry(self, index): return Entry(str(index), (Target(f"number {index}"),), self.samples / 16000)
    def read(self, index): return torch.rand(self.samples, generator=torch.Generator().manual_seed(index)) - 0.5

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def read(folder):
    data = DataModule(lambda split: Shards(split, folder), CharacterTokenizer(), batch_size=64)
    data.fit_tokenizers()
    number, peak = 0, 0
    for batch in data.train_dataloader():
        number, peak = number + len(batch), max(peak, resident())
    return number, peak

root, number, samples = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
peaks = {}
for name, size in (("small", 500), ("large", number)):
    (root / name).mkdir()
    content, _ = write_split(Noise(size, samples), "train", root / name, 20_000_000)
    written = resident()
    index = {"version": VERSION, "modality": "recording", "splits": {"train": content}}
    (root / name / INDEX).write_text(json.dumps(index))
    count, peak = read(root / name)
    peaks[name] = max(peak, written)
    assert count == size
print(peaks["large"] - peaks["small"], sum(shard["bytes"] for shard in content["shards"]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
@pytest.mark.parametrize(
    ("number", "samples", "most"),
    # Some hundred bytes an example for the plan of an epoch and the texts of the vocabulary, and the allocator's.
    [(3000, 8000, 16_000_000), pytest.param(100_000, 1000, 40_000_000, marks=pytest.mark.slow)],
)
def test_memory_stays_flat(tmp_path: Path, number: int, samples: int, most: int) -> None:
    found = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), str(number), str(samples)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    growth, on_disk = map(int, found.stdout.split())
    assert on_disk > 90_000_000
    assert growth < most
