from __future__ import annotations

import json
import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from multimodal_attn.data.datasets.base import Dataset, Entry
from multimodal_attn.data.datasets.manifest import Manifest
from multimodal_attn.data.loading.collate import Collate
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.loading.feature_cache import FeatureCache
from multimodal_attn.data.loading.features import CachedFeatures, Distortion, FrozenEncoder
from multimodal_attn.data.modalities.picture import PictureReader
from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.types import Target, UnreadableError


class Pictures(Dataset):
    """Constant pictures of value ``index + offset``, drawn, without files; some cannot be read."""

    def __init__(self, count: int, offset: int = 0, unreadable: tuple[int, ...] = ()) -> None:
        self.offset, self.unreadable = offset, unreadable
        entries = [Entry(f"picture-{index}", (Target(f"number {index}"),)) for index in range(count)]
        super().__init__(PictureReader(4), entries, [UnreadableError("gone.jpg", "no such file")])

    def read(self, index: int) -> Tensor:
        if index in self.unreadable:
            raise UnreadableError(f"{index}.jpg", "cut off")
        return torch.full((3, 4, 4), index + self.offset, dtype=torch.uint8)


class Extract:
    """A stand-in for an encoder: (3, 4, 4) to (2, 3); counts, and fails after some pictures."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.seen: list[int] = []
        self.fail_after = fail_after

    def __call__(self, sources: list[Tensor]) -> list[Tensor]:
        if self.fail_after is not None and len(self.seen) >= self.fail_after:
            raise RuntimeError("interrupted")
        pictures = torch.stack(sources)
        self.seen += pictures[:, 0, 0, 0].tolist()
        return list(pictures.float().mean(dim=(2, 3))[:, None, :] + torch.tensor([0.0, 0.5])[:, None])


def cached(
    dataset: Dataset, extract: Callable[[list[Tensor]], list[Tensor]], fingerprint: str, folder: Path, *sizes: int
) -> CachedFeatures:
    """With one encoder; sizes are those of a batch and of the workers."""
    settings = dict(zip(("batch_size", "num_workers"), sizes, strict=False))
    return CachedFeatures(dataset, [FrozenEncoder(fingerprint, extract)], folder, **settings)


def expected(value: int) -> Tensor:
    return torch.tensor([[value] * 3, [value + 0.5] * 3], dtype=torch.float16)


def check(dataset: CachedFeatures, values: list[int]) -> None:
    assert len(dataset) == len(values)
    for index, value in enumerate(values):
        assert torch.equal(dataset[index].features[0], expected(value))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A manifest of 6 photos of different grey."""
    lines = ["image,caption"]
    for index in range(6):
        Image.new("L", (8, 8), 10 * index).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,number {index}")
    (tmp_path / "train.csv").write_text("\n".join(lines))
    return tmp_path


def read(photos: Path) -> Manifest:
    return Manifest("train", train=photos / "train.csv", val=photos / "train.csv", image_size=4)


def test_sources_become_features_and_all_else_stays(tmp_path: Path) -> None:
    pictures, extract = Pictures(5), Extract()
    dataset = cached(pictures, extract, "encoder", tmp_path, 2)
    check(dataset, [0, 1, 2, 3, 4])
    assert sorted(extract.seen) == [0, 1, 2, 3, 4]
    assert dataset[3].features[0].dtype == torch.float16
    assert dataset[3].key == "picture-3"
    assert dataset[3].targets == pictures[3].targets
    assert dataset.texts() == pictures.texts()
    assert dataset.lengths() == [1.0] * 5
    assert [error.path for error in dataset.skipped] == ["gone.jpg"]


def test_second_run_computes_nothing(tmp_path: Path) -> None:
    cached(Pictures(5), Extract(), "encoder", tmp_path)
    check(cached(Pictures(5), Extract(fail_after=0), "encoder", tmp_path), [0, 1, 2, 3, 4])


def test_another_encoder_has_its_own_features(tmp_path: Path) -> None:
    cached(Pictures(3), Extract(), "encoder", tmp_path)
    other = Extract()
    dataset = cached(Pictures(3), lambda pictures: [-each for each in other(pictures)], "other", tmp_path)
    assert sorted(other.seen) == [0, 1, 2]
    assert torch.equal(dataset[2].features[0], -expected(2))


def test_generated_pictures_are_told_apart_by_their_pixels(tmp_path: Path) -> None:
    cached(Pictures(5), Extract(), "encoder", tmp_path)
    extract = Extract()  # the same keys, other pictures
    check(cached(Pictures(5, offset=2), extract, "encoder", tmp_path), [2, 3, 4, 5, 6])
    assert sorted(extract.seen) == [5, 6]


def test_unreadable_pictures_are_left_out_and_listed(tmp_path: Path) -> None:
    dataset = cached(Pictures(6, unreadable=(1, 4)), Extract(), "encoder", tmp_path, 2)
    check(dataset, [0, 2, 3, 5])
    assert [error.path for error in dataset.skipped] == ["gone.jpg", "1.jpg", "4.jpg"]
    assert dataset[3].key == "picture-5"
    assert dataset.texts() == ["number 0", "number 2", "number 3", "number 5"]
    with pytest.raises(ValueError, match=r"no source can be read: .*0\.jpg: cut off"):
        cached(Pictures(2, unreadable=(0, 1)), Extract(), "encoder", tmp_path)


def test_cut_off_and_cmyk_files(photos: Path, tmp_path: Path) -> None:
    (photos / "1.png").write_bytes((photos / "1.png").read_bytes()[:50])
    Image.new("CMYK", (8, 8), (0, 0, 0, 255 - 20)).save(photos / "2.png", format="TIFF")
    dataset = cached(read(photos), Extract(), "encoder", tmp_path / "cache")
    check(dataset, [0, 20, 30, 40, 50])
    assert [Path(error.path).name for error in dataset.skipped] == ["1.png"]


def test_changed_file_is_computed_again_and_no_other(photos: Path, tmp_path: Path) -> None:
    cached(read(photos), Extract(), "encoder", tmp_path / "cache")
    Image.new("L", (9, 9), 77).save(photos / "3.png")
    extract = Extract()
    dataset = cached(read(photos), extract, "encoder", tmp_path / "cache")
    assert extract.seen == [77]
    check(dataset, [0, 10, 20, 77, 40, 50])


def test_cached_files_are_not_decoded(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(read(photos), Extract(), "encoder", tmp_path / "cache")
    monkeypatch.setattr(Manifest, "read", lambda self, index: pytest.fail("decoded a picture"))
    check(cached(read(photos), Extract(), "encoder", tmp_path / "cache"), [0, 10, 20, 30, 40, 50])


def test_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = Extract(fail_after=4)
    with pytest.raises(RuntimeError, match="interrupted"):
        cached(Pictures(10), first, "encoder", tmp_path, 2)
    second = Extract()
    check(cached(Pictures(10), second, "encoder", tmp_path, 2), list(range(10)))
    assert len(first.seen) == 4
    assert sorted(first.seen + second.seen) == list(range(10))


@pytest.mark.parametrize("file", ["features.f16", "index"])
def test_torn_tail_of_a_killed_writer_is_overwritten(tmp_path: Path, file: str) -> None:
    cache = FeatureCache(tmp_path, "encoder")
    cache.append(["a", "b"], torch.stack([expected(1), expected(2)]))
    with (cache.folder / file).open("ab") as torn:
        torn.write(b"\xff" * 7)
    again = FeatureCache(tmp_path, "encoder")
    again.append(["c"], expected(3)[None])
    assert again.find(["c", "a", "z", "b"]).tolist() == [[4, 2], [0, 2], [-1, 0], [2, 2]]
    assert [again.read(2 * row, 2)[0, 0].item() for row in range(3)] == [1, 2, 3]
    assert (cache.folder / "features.f16").stat().st_size == 3 * 2 * expected(0).numel()


def test_rows_whose_data_was_lost_are_computed_again(tmp_path: Path) -> None:
    dataset = cached(Pictures(5), Extract(), "encoder", tmp_path)
    (data,) = tmp_path.rglob("features.f16")
    os.truncate(data, 3 * 2 * expected(0).numel() + 1)
    extract = Extract()
    check(cached(Pictures(5), extract, "encoder", tmp_path), [0, 1, 2, 3, 4])
    assert len(extract.seen) == 2
    del dataset


def test_repeated_keys_take_one_row(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "encoder")
    cache.append(["a", "b", "a"], torch.stack([expected(1), expected(2), expected(1)]))
    cache.append(["b", "c"], torch.stack([expected(2), expected(3)]))
    assert cache.find(["a", "b", "c"]).tolist() == [[0, 2], [2, 2], [4, 2]]
    assert torch.equal(cache.read(4, 2), expected(3))


def test_says_what_it_is(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "encoder, weights 123")
    cache.append(["a"], expected(1)[None])
    info = json.loads((cache.folder / "info.json").read_text())
    assert info == {"fingerprint": "encoder, weights 123", "width": 3, "dtype": "float16"}


def test_refuses_what_it_cannot_keep(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "encoder")
    cache.append(["a"], torch.ones(1, 2, 3))
    with pytest.raises(ValueError, match="float16 cannot hold"):
        cache.append(["b"], torch.full((1, 2, 3), 1e6))
    with pytest.raises(ValueError, match=r"shape \(2, 4\) .* positions have 3 numbers: its fingerprint"):
        cache.append(["b"], torch.ones(1, 2, 4))
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"data\.cache_dir: cannot write"):
        FeatureCache(tmp_path / "file", "encoder").append(["a"], torch.ones(1, 2, 3))
    assert cache.find(["a", "b"]).tolist() == [[0, 2], [-1, 0]]


def test_refuses_to_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 30})
    monkeypatch.setattr("multimodal_attn.data.loading.features.shutil.disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"data\.cache_dir: .* needs .* GB more"):
        cached(Pictures(8), Extract(), "encoder", tmp_path, 2)


def test_what_others_write_meanwhile_is_not_taken_for_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 200})  # its own 8 pictures need 96
    monkeypatch.setattr("multimodal_attn.data.loading.features.shutil.disk_usage", lambda path: usage)
    others = FeatureCache(tmp_path, "encoder")
    extract = Extract()

    def extract_beside_others(sources: list[Tensor]) -> list[Tensor]:
        others.append([f"other {number}" for number in range(100)], [expected(1)] * 100)
        return extract(sources)

    check(cached(Pictures(8), extract_beside_others, "encoder", tmp_path, 2), list(range(8)))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_works_in_a_loaders_worker(tmp_path: Path, num_workers: int) -> None:
    dataset = cached(Pictures(6, unreadable=(2,)), Extract(), "encoder", tmp_path, 2, num_workers)
    check(pickle.loads(pickle.dumps(dataset)), [0, 1, 3, 4, 5])
    loader = DataLoader(dataset, 5, num_workers=num_workers, collate_fn=list)
    (batch,) = loader
    assert [example.features[0][0, 0].item() for example in batch] == [0, 1, 3, 4, 5]


def _fill(cache_dir: Path, start: multiprocessing.Barrier, results: multiprocessing.Queue) -> None:
    torch.set_num_threads(1)  # the threads of the parent are not here
    extract = Extract()
    start.wait()
    dataset = cached(Pictures(200), extract, "encoder", cache_dir, 4)
    results.put((extract.seen, [dataset[index].features[0][0, 0].item() for index in range(200)]))


def test_two_processes_fill_one_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_fill, args=(tmp_path, start, results)) for _ in range(2)]
    for process in processes:
        process.start()
    (first, seen_by_first), (second, seen_by_second) = (results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert seen_by_first == seen_by_second == list(range(200))
    assert set(first) | set(second) == set(range(200))
    (data,) = tmp_path.rglob("features.f16")
    assert data.stat().st_size == 200 * 2 * expected(0).numel()
    check(cached(Pictures(200), Extract(fail_after=0), "encoder", tmp_path), list(range(200)))


@pytest.mark.parametrize(
    "info",
    ["", "[]", "{}", '{"width": 0}', '{"width": -5}', '{"width": "ab"}', '{"width": [4]}', "[" * 10_000]
    + ['{"width": 4, "fingerprint": "another"}', '{"width": 9999999, "fingerprint": "f"}'],
)
def test_a_cache_that_is_none_is_named(tmp_path: Path, info: str) -> None:
    cache = FeatureCache(tmp_path, "f")
    cache.append(["a"], torch.zeros(1, 1, 4))
    (cache.folder / "info.json").write_text(info)
    with pytest.raises(ValueError, match=r"data.cache_dir: '.*info.json' is no"):
        FeatureCache(tmp_path, "f").find(["a"])


def test_a_row_that_is_gone_is_named(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "f")
    cache.append(["a", "b"], torch.ones(2, 1, 4))
    fresh = FeatureCache(tmp_path, "f")
    assert fresh.find(["b"]).tolist() == [[1, 1]]
    os.truncate(cache.folder / "features.f16", 8)
    assert fresh.read(0, 1).tolist() == [[1, 1, 1, 1]]
    with pytest.raises(UnreadableError, match=r"features.f16: has 1 positions, and not 2"):
        fresh.read(1, 1)
    assert FeatureCache(tmp_path, "f").find(["a", "b"]).tolist() == [[0, 1], [-1, 0]]


class Recordings(Dataset):
    """Waveforms of unlike lengths without files: number n has n + 1 thousand samples of n."""

    def __init__(self, count: int) -> None:
        entries = [Entry(f"recording-{n}", (Target("x"),), (n + 1) / 16) for n in range(count)]
        super().__init__(RecordingReader(16000), entries)

    def read(self, index: int) -> Tensor:
        return torch.full((1000 * (index + 1),), float(index))


def thousands(recordings: list[Tensor]) -> list[Tensor]:
    """(L,) to (L / 1000, 2)."""
    return [recording.unflatten(0, (-1, 1000)).mean(1, keepdim=True).expand(-1, 2) for recording in recordings]


def test_recordings_have_rows_of_their_own_length(tmp_path: Path) -> None:
    for _ in range(2):
        dataset = cached(Recordings(4), thousands, "encoder", tmp_path, 3)
        assert [example.features[0].shape for example in map(dataset.__getitem__, range(4))] == [
            (n + 1, 2) for n in range(4)
        ]
        assert [dataset[n].features[0].unique().tolist() for n in range(4)] == [[0], [1], [2], [3]]
    batch = Collate(WordTokenizer().fit(["x"]))([dataset[2], dataset[0]])
    ((features, lengths),) = batch.features
    assert features.shape == (2, 3, 2)
    assert lengths.tolist() == [3, 1]
    assert features[1, 1:].abs().sum() == 0
    moved = batch.to(torch.float32)
    assert moved.features[0][0].dtype == torch.float32


def test_recordings_come_beside_their_features_where_measures_look_at_them(tmp_path: Path) -> None:
    encoders = [FrozenEncoder("encoder", thousands)]
    dataset = CachedFeatures(Recordings(3), encoders, tmp_path, keep_sources=True)
    batch = Collate(WordTokenizer().fit(["x"]))([dataset[2], dataset[0]])
    assert batch.source_lengths.tolist() == [3000, 1000]
    assert batch.features[0][1].tolist() == [3, 1]
    assert (batch.waveform(0).shape, batch.waveform(1).shape) == ((3000,), (1000,))  # type: ignore[union-attr]
    alone = CachedFeatures(Recordings(3), encoders, tmp_path)
    assert Collate(WordTokenizer().fit(["x"]))([alone[2], alone[0]]).waveform(0) is None


def test_each_encoder_has_a_cache_that_serves_others_too(tmp_path: Path) -> None:
    first, second = Extract(), Extract()
    cached(Pictures(4), first, "one", tmp_path)
    encoders = [FrozenEncoder("one", first), FrozenEncoder("two", lambda sources: [-e for e in second(sources)])]
    dataset = CachedFeatures(Pictures(4), encoders, tmp_path)
    assert sorted(first.seen) == sorted(second.seen) == [0, 1, 2, 3]
    for index in range(4):
        one, two = dataset[index].features
        assert torch.equal(one, expected(index))
        assert torch.equal(two, -expected(index))


def test_versions_are_drawn_in_training_and_made_once(tmp_path: Path) -> None:
    def distort(source: Tensor, seed: int) -> Tensor:
        return (source.float() + 10 + seed % 7).to(torch.uint8)

    for fail_after in (None, 0):
        extract = Extract(fail_after)
        dataset = CachedFeatures(
            Pictures(4), [FrozenEncoder("e", extract)], tmp_path, versions=3, distortion=Distortion("d", distort)
        )
        check(dataset, [0, 1, 2, 3])
        seen = {dataset.in_epoch(1, epoch).features[0][0, 0].item() for epoch in range(40)}
        assert 1.0 in seen
        assert len(seen) == 3 or len(seen) == 2  # two seeds may be alike
        again = [dataset.in_epoch(1, epoch).features[0][0, 0].item() for epoch in range(9)]
        assert again == [dataset.in_epoch(1, epoch).features[0][0, 0].item() for epoch in range(9)]
    other = Extract()
    CachedFeatures(Pictures(4), [FrozenEncoder("e", other)], tmp_path, 2, Distortion("another", distort))
    assert len(other.seen) == 4  # sources as they are were there


def test_versions_that_nothing_would_keep_are_refused() -> None:
    data = DataModule(lambda split: Recordings(3), WordTokenizer(), cached_versions=4)
    with pytest.raises(ValueError, match=r"data.cached_versions: 4; expected 1, as nothing is cached here"):
        data.check_cached()
