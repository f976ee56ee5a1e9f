"""Commands without what most take for granted: standard streams, a home, folders that can be written, UTF-8."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal_attn.__main__ import main
from multimodal_attn.runs.evaluations.evaluate import evaluate
from tests.commands.process import ROOT, forked, python
from tests.export.folders import SPEECH, exported_once, untrained_run
from tests.runs.test_exactness import FEW
from tests.runs.tiny import compose, run

NOBODY = 54321
"""A user who has no entry in the system's list, and so no home: as in a container with ``--user``."""
SMALL = [*FEW, "trainer.max_epochs=1", "callbacks.attention_maps.num_examples=0"]


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A folder that every user may enter, and not among those of pytest, another start of which closes them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with open_to_all() as folder:
        yield folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with open_to_all() as folder:
        shutil.copytree(exported_once(tmp_path_factory, "pictures") / "exported", folder / "exported")
        yield filled(folder)


def filled(folder: Path) -> Path:
    """Adds a run with an evaluation, one of speech, and files of each kind."""
    run(folder / "run", *SMALL)
    evaluate(compose("evaluate", f"run={folder / 'run'}", "search=greedy", "device=cpu", "page_examples=1"))
    untrained_run(folder / "speech.ckpt", *SPEECH)
    Image.new("RGB", (50, 40), "red").save(folder / "photo.png")
    (folder / "photos.csv").write_text("image,caption\n" + 8 * "photo.png,a red photo\n")
    soundfile.write(folder / "sound.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    np.savez(folder / "maps.npz", key=np.ones((2, 3, 3)))
    truth = {"key": "key", "text": "a dog", "boxes": {"1": [[0.1, 0.1, 0.5, 0.5]]}}
    (folder / "truth.jsonl").write_text(json.dumps(truth) + "\n")
    for words in COMMANDS.values():
        if words[0] in ("compare", "measure", "transcribe", "shards"):  # what is imported late may lie in root's home
            main([word.replace("PLACE", str(folder)).replace("OUT", f"{folder}/new-{words[0]}") for word in words])
            shutil.rmtree(folder / f"new-{words[0]}", ignore_errors=True)
    return folder


COMMANDS = {
    "train": [*("train", *SMALL), "hydra.run.dir=OUT", "cache_dir=OUT"],
    "train_on_files": [
        *("train", "data=manifest", "data.train=PLACE/photos.csv", "data.val=PLACE/photos.csv", "data.image_size=48"),
        *("data.batch_size=4", "trainer.max_epochs=1", "callbacks.attention_maps.num_examples=0"),
        *("tokenizer.min_count=1", "hydra.run.dir=OUT", "cache_dir=OUT"),
    ],
    "evaluate": ["evaluate", "run=PLACE/run", "device=cpu", "page_examples=1", "search=greedy"],
    "predict": ["predict", "PLACE/run", "PLACE/photo.png"],
    "predict_exported": ["predict", "PLACE/exported", "PLACE/photo.png"],
    "transcribe": ["transcribe", "PLACE/speech.ckpt", "PLACE/sound.wav"],
    "compare": ["compare", "PLACE/run", "--output=OUT"],
    "measure": ["measure", "PLACE/maps.npz", "PLACE/truth.jsonl", "--output=OUT"],
    "export": ["export", "PLACE/run", "OUT"],
    "shards": ["shards", "data.num_examples={train:8,val:4,test:4}", "data.image_size=48", "--output=OUT"],
    "cache": ["cache"],
    "cache_of": ["cache", "--folder=OUT"],
    "help": ["--help"],
    "train_help": ["train", "--help"],
    "nonsense": ["predict", "NOWHERE", "x.png"],
}
EXPECTED = {"nonsense": 2}


def outcome(command: str, place: Path, out: Path, prepare: Callable[[], None]) -> tuple[int, str]:
    """The status of a command in a process of its own, prepared first, and what it says on standard error."""
    words = [word.replace("PLACE", str(place)).replace("OUT", str(out)) for word in COMMANDS[command]]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.parent.chmod(0o777)
    done = forked(*words, prepare=prepare, folder=Path("/"))
    return done.returncode, done.stderr


def closed(*streams: str) -> None:
    """As a shell's ``>&-``: Python has None in the place of a stream that is closed when it starts."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if name in streams:
            os.close(number)
            setattr(sys, name, None)


STREAMS = [("stdin",), ("stdout",), ("stderr",), ("stdin", "stdout", "stderr")]
QUICK = [("predict", ("stdout",)), ("measure", STREAMS[3]), ("help", ("stdout",)), ("nonsense", STREAMS[3])]
SLOW = [(command, streams) for command in COMMANDS for streams in STREAMS if (command, streams) not in QUICK]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("command", "streams"), [*QUICK, *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)]
)
def test_closed_streams_change_nothing(command: str, streams: tuple[str, ...], place: Path, tmp_path: Path) -> None:
    status, errors = outcome(command, place, tmp_path / "in" / "out", lambda: closed(*streams))
    assert status == EXPECTED.get(command, 0), errors
    assert "Traceback" not in errors, errors


def test_streams_that_are_closed_are_so_for_python_as_well(place: Path) -> None:
    words = [sys.executable, "-m", "multimodal_attn", "--help"]
    for closing in (">&-", "<&-", "2>&-", ">&- 2>&- <&-", ">/dev/full", "2>/dev/full"):
        result = python("-c", f"import os; raise SystemExit(os.system({' '.join([*words, closing])!r}) >> 8)")
        assert result.returncode in ((0, 2) if "full" in closing else (0,)), (closing, result.stderr)
        assert "Traceback" not in result.stderr


def nobody(home: str | None) -> None:
    """Becomes a user for whom permissions count."""
    os.environ.pop("HOME", None)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "WANDB_DIR", "USER", "LOGNAME"):
        os.environ.pop(name, None)
    if home is not None:
        os.environ["HOME"] = home
    if os.getuid() == 0:
        os.setuid(NOBODY)  # and not the group, which may be what lets Python's own files be read


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a home")
HOMES = {"none": None, "of_another": "/root", "a_file": "/etc/passwd", "nowhere": "/nowhere"}
IN_HOME = ("cache",)
"""What looks into the home: without one it is told what to say in its place."""


@needs_root
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("command", "home"),
    [
        *(("predict", "none"), ("cache", "none"), ("compare", "of_another"), ("train", "none")),
        *(
            pytest.param(command, home, marks=pytest.mark.slow)
            for command in COMMANDS
            for home in HOMES
            if command not in ("help", "train_help", "evaluate")
        ),
    ],
)
def test_no_home_is_needed(command: str, home: str, place: Path, tmp_path: Path) -> None:
    status, errors = outcome(command, place, tmp_path / "in" / "out", lambda: nobody(HOMES[home]))
    assert "Traceback" not in errors, errors
    expected = (0, 2) if command in IN_HOME else (EXPECTED.get(command, 0),)
    assert status in expected, errors


@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", ["evaluate", pytest.param("train", marks=pytest.mark.slow)])
def test_a_folder_that_cannot_be_written_is_named_and_stays(command: str, place: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    out = place / "run" if command == "train" else tmp_path / "in" / "out"
    words = [word.replace("OUT", "PLACE/run/new") for word in COMMANDS[command]]
    COMMANDS["there"] = words
    status, errors = outcome("there", place, tmp_path / "in" / "out", lambda: nobody("/nowhere"))
    assert status == 2, (errors, out)
    assert "error: " in errors.splitlines()[-1]
    assert str(place / "run") in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


@needs_root
@pytest.mark.timeout(600)
def test_data_that_may_only_be_read_can_be_trained_on(place: Path, tmp_path: Path) -> None:
    before = sorted(place.rglob("*"))
    out = tmp_path / "in" / "out"
    status, errors = outcome("train_on_files", place, out, lambda: nobody("/nowhere"))
    assert status == 0, errors
    assert (out / "checkpoints" / "last.ckpt").is_file()
    assert sorted(place.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_ascii_locale_changes_no_text_and_no_name(tmp_path: Path) -> None:
    folder = tmp_path / "größe"
    folder.mkdir()
    for name in ("bä.png", "c.png"):
        Image.new("RGB", (50, 40), "red").save(folder / name)
    (folder / "t.csv").write_text("image,caption\nbä.png,größe hund\nc.png,ein ü\n", encoding="utf-8")
    table = f"data.train={folder}/t.csv", f"data.val={folder}/t.csv"
    small = [word for word in SMALL if "num_examples" not in word]
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    made = folder / "lauf"
    package = ["-m", "multimodal_attn"]
    commands = [
        ["train.py", *small, "data=manifest", *table, "tokenizer.min_count=1", f"hydra.run.dir={made}"],
        ["evaluate.py", f"run={made}", "device=cpu", "search=greedy"],
        [*package, "predict", str(made), str(folder), "--page", "--page-path", str(folder / "ü.html")],
        [*package, "compare", str(made), "--output", str(folder / "ö")],
        [*package, "export", str(made), str(folder / "öx")],
        [*package, "predict", str(folder / "öx"), str(folder)],
        [*package, "shards", "data=manifest", table[0], "--splits=train", f"--output={folder / 'üs'}"],
    ]
    for command in commands:
        result = python(*command, env=ascii_only, encoding="utf-8")
        assert result.returncode == 0, (command, result.stderr)
        assert "Traceback" not in result.stderr
        if "predict" in command:
            assert f"{folder / 'bä.png'}\t" in result.stdout
    listed = [path.read_text(encoding="utf-8") for path in (made / "evaluation").rglob("predictions.jsonl")]
    assert "größe hund" in listed[0]
    assert (folder / "ü.html").is_file()
    assert ROOT.is_dir()
