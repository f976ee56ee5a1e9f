"""Kills and full disks at each write of what is not a checkpoint: it is whole, refused, or made again.

Every file that these write goes through the same two tests: whatever stands there afterwards is what a healthy run
writes or is refused in a sentence, and doing it again makes it whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from multimodal_attn.commands.align import align
from multimodal_attn.commands.export import export
from multimodal_attn.commands.shards import verify_shards, write_shards
from multimodal_attn.data.datasets.shapes import Shapes
from multimodal_attn.data.datasets.shards import read_index
from multimodal_attn.data.loading.features import CachedFeatures, FrozenEncoder
from multimodal_attn.data.synthesis import corpus, espeak
from multimodal_attn.export import folder as export_folder
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runtime import Runtime
from tests.export.folders import PICTURES, untrained_run
from tests.faults import disk, killed_at
from tests.runs.tiny import compose

pytestmark = pytest.mark.timeout(900)
SHAPES = ["data.num_examples={train:6,val:2,test:2}", "data.image_size=48"]


@dataclass(frozen=True)
class Writer:
    """Something that writes a folder.

    Attributes:
        make: writes it, again if it is there.
        found: what a reader finds in it, or a ValueError.
        prepare: makes what it needs.
        again: prepares for making it again.
        over_whole: whether it is killed over what is whole already; slow ones are killed in one case alone.
        fills_disk: whether it writes more than a page or two.
    """

    make: Callable[[Path], object]
    found: Callable[[Path], Any]
    prepare: Callable[[Path], object]
    again: Callable[[Path], object]
    over_whole: tuple[bool, ...] = (False, True)
    fills_disk: bool = True


SHARES = (0.05, 0.4, 0.7, 0.9, 3)
"""Of the room that it needs, the last of them enough."""


def kilobytes(folder: Path) -> int:
    """That the files of a folder take, in pages."""
    return sum(4 * (1 + -(-path.stat().st_size // 4096) * path.is_file()) for path in folder.rglob("*"))


def features(folder: Path) -> list[Any]:
    encoder = FrozenEncoder("test", lambda sources: [source[:, ::2, ::2].flatten(1).T / 255 for source in sources])
    cached = CachedFeatures(Shapes("train", 6, image_size=48), [encoder], folder / "cache", batch_size=2)
    return [cached[index].features[0].tolist() for index in range(len(cached))]


RECIPE = corpus.Recipe(2, 1, 1)


def spoken(folder: Path) -> str:
    return (corpus.prepare(folder, RECIPE, "train") / "train.jsonl").read_text()


def heard(folder: Path) -> str:
    if (damage := corpus.find_damage(folder / RECIPE.name, "train")) is not None:
        raise ValueError(damage)
    return (folder / RECIPE.name / "train.jsonl").read_text()


@cache
def run_file() -> Path:
    import tempfile

    return untrained_run(Path(tempfile.mkdtemp()) / "run.ckpt", *PICTURES, *SHAPES)


def trained(folder: Path) -> None:
    (folder / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(run_file(), folder / "run" / "checkpoints" / "best.ckpt")


def evaluated(folder: Path) -> object:
    return evaluate(compose("evaluate", f"run={folder / 'run'}", "device=cpu", "page_examples=1", "tag=it"))


def evaluation(folder: Path) -> list[str]:
    place = folder / "run" / "evaluation" / "val_it"
    if not place.is_dir():
        raise ValueError("there is none")
    names = sorted(path.name for path in place.iterdir())
    return [*names, (place / "predictions.jsonl").read_text(), (place / "skipped.txt").read_text()]


@cache
def _graphs() -> Any:
    made: list[Any] = []
    graphs = export_folder.graphs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_folder, "graphs", lambda *arguments: made.append(graphs(*arguments)) or made[0])
        export(run_file(), run_file().parent / "exported")
    return made[0]


def exported(folder: Path) -> None:
    graphs = _graphs()  # once: exporting them takes seconds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_folder, "graphs", lambda *arguments: graphs)
        export(run_file(), folder / "exported")


def captions(folder: Path) -> str:
    return str(Runtime(folder / "exported")(Shapes("val", 1, image_size=32)[0].source.permute(1, 2, 0).numpy()).text)


def shards(folder: Path) -> None:
    write_shards(SHAPES, folder / "shards", shard_megabytes=0.005)


def listed(folder: Path) -> Any:
    verify_shards(folder / "shards")
    return read_index(folder / "shards")["splits"]


OF_ANOTHER_SPLIT = {"split": "test", "key": "c", "by": "x", "words": [{"word": "no", "start": 0.0, "end": 0.1}]}


def recorded(folder: Path) -> None:
    speech, failure = espeak.speak("en-us", [espeak.Line("lights", 150, 50, 50), espeak.Line("no", 150, 50, 50)])
    for name, recording in (("a", speech), ("b", failure)):
        assert recording is not None
        soundfile.write(folder / f"{name}.wav", recording.samples, espeak.SAMPLE_RATE)
    (folder / "mine.csv").write_text("audio,text\na.wav,lights\nb.wav,xqzt\n")
    (folder / "times.jsonl").write_text(json.dumps(OF_ANOTHER_SPLIT) + "\n")


def aligned(folder: Path) -> None:
    listed = folder / "mine.csv"
    align(["data=manifest", f"data.train={listed}", f"data.val={listed}"], ["train"], folder / "times.jsonl")


def word_times(folder: Path) -> list[str]:
    before, *found = (folder / "times.jsonl").read_text().splitlines()
    assert json.loads(before) == OF_ANOTHER_SPLIT
    if not found or not (folder / "times.skipped.txt").exists():
        raise ValueError("not all is there")
    return [*found, (folder / "times.skipped.txt").read_text().replace(str(folder), "")]


def nothing(folder: Path) -> None:
    """What there is may stay."""


WRITERS = {
    "features": Writer(features, features, nothing, nothing),
    "shards": Writer(shards, listed, nothing, lambda folder: shutil.rmtree(folder / "shards", ignore_errors=True)),
    "evaluation": Writer(evaluated, evaluation, trained, nothing, (True,)),
    "export": Writer(exported, captions, nothing, nothing),
    "corpus": Writer(spoken, heard, nothing, nothing, (False,)),
    "word times": Writer(aligned, word_times, recorded, nothing, (True,), fills_disk=False),
}


def names(*fast: str, of: Iterable[str] = WRITERS) -> pytest.MarkDecorator:
    """A test of each writer; all but some are slow."""
    marked = [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in of]
    return pytest.mark.parametrize("name", marked)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """What a reader finds where nothing has gone wrong."""

    @cache
    def of(name: str) -> Any:
        if name in ("corpus", "word times"):
            pytest.importorskip("espeakng_loader")
        if name == "word times":
            pytest.importorskip("pocketsphinx")
        if name == "export":
            _graphs()
        folder = tmp_path_factory.mktemp(name)
        WRITERS[name].prepare(folder)
        before = kilobytes(folder)
        WRITERS[name].make(folder)
        return WRITERS[name].found(folder), before, kilobytes(folder) - before

    return of


def check(name: str, folder: Path, expected: Any) -> None:
    """What stands in a folder is whole or refused, and then made whole."""
    writer = WRITERS[name]
    with suppress(ValueError):
        assert writer.found(folder) == expected
    writer.again(folder)
    writer.make(folder)
    assert writer.found(folder) == expected
    assert not [path for path in folder.rglob("*") if ".unfinished" in path.name or ".building" in path.name]


@names("features")
def test_kill_at_each_write(name: str, whole: Callable[[str], Any], tmp_path: Path) -> None:
    (expected, _, _), number = whole(name), 0
    torch.set_num_threads(1)
    killed = True
    while killed:
        number += 1
        killed = False
        for over_whole in WRITERS[name].over_whole:
            folder = tmp_path / f"{number}-{over_whole}"
            folder.mkdir()
            WRITERS[name].prepare(folder)
            if over_whole:
                WRITERS[name].make(folder)
                WRITERS[name].again(folder)
            killed |= killed_at(number, folder, lambda folder=folder: WRITERS[name].make(folder))
            check(name, folder, expected)
            shutil.rmtree(folder)
    assert number > 3


@names("features", "shards", of=[name for name, writer in WRITERS.items() if writer.fills_disk])
def test_full_disk_at_each_write(name: str, whole: Callable[[str], Any], tmp_path: Path) -> None:
    expected, before, needed = whole(name)
    refused = 0
    for number, share in enumerate(SHARES):
        folder = tmp_path / str(number)
        with disk(folder, before + max(4, int(share * needed))) as resize:
            WRITERS[name].prepare(folder)
            said = ""
            try:
                WRITERS[name].make(folder)
            except (OSError, ValueError) as error:  # what a command tells in one line
                said = str(error)
            if said:
                refused += 1
                assert "No space left" in said or "GB more" in said
                assert str(folder) in said
            resize(20_000)  # twice as much at once, too
            check(name, folder, expected)
    assert 1 < refused < len(SHARES)
