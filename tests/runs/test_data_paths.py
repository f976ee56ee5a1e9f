"""A run means the same files wherever it is resumed or evaluated from; relative paths of a command line start there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.runs.data import build_data
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import overridden
from tests.runs.test_language_model import SMALL
from tests.runs.tiny import compose, run

LINES = {"train": ["the red circle"] * 16, "val": ["the red circle", "the circle"], "other": ["the circle"] * 5}


@pytest.fixture
def began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a run has begun, with relative paths; the test goes on in another one."""
    began, here = tmp_path / "began", tmp_path / "here"
    for folder in (began, here):
        folder.mkdir()
    for name in ("train", "val"):
        (began / f"{name}.txt").write_text("\n".join(LINES[name]) + "\n")
    (here / "other.txt").write_text("\n".join(LINES["other"]) + "\n")
    monkeypatch.chdir(began)
    run(began / "run", *SMALL, "tokenizer=word", "data.train=train.txt", "data.val=val.txt", "trainer.max_epochs=1")
    monkeypatch.chdir(here)
    return began


def number_of_texts(began: Path, *more: str) -> float:
    return evaluate(compose("evaluate", f"run={began / 'run'}", "device=cpu", *more))["num_examples"]


def test_the_files_are_those_of_the_folder_in_which_it_began(
    began: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert number_of_texts(began) == 2
    shutil.copy("other.txt", "val.txt")  # of the same name, here
    assert number_of_texts(began) == 2
    assert number_of_texts(began, "data.val=other.txt") == 5
    run(began / "run", "trainer.max_epochs=2", "data.val=other.txt", resume=began / "run")
    monkeypatch.chdir(began)  # where there is no other.txt
    assert number_of_texts(began) == 5
    config = yaml.safe_load((began / "run" / "config.yaml").read_text())
    assert (config["data"]["train"], config["started_in"]) == ("train.txt", str(began))
    assert not [message for message in caplog.messages if "is gone" in message]


def test_what_is_gone_is_looked_for_here_and_told(began: Path, caplog: pytest.LogCaptureFixture) -> None:
    there, here = began / "val.txt", Path.cwd() / "val.txt"
    there.unlink()
    with pytest.raises(ValueError, match="where the run began") as caught:
        number_of_texts(began)
    assert str(caught.value) == (
        f"data.val: neither '{there}', where the run began, nor '{here}' is there; expected data.val=PATH"
    )
    assert number_of_texts(began, "split=train") == 16  # of which nothing is gone
    shutil.copy("other.txt", "val.txt")
    assert number_of_texts(began) == 5
    assert f"data.val: '{there}' of the run is gone; '{here}' is taken in its place" in caplog.messages


def test_only_paths_are_taken_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, here = tmp_path / "began", tmp_path / "here"
    for folder in (began, here):
        (folder / "de").mkdir(parents=True)
        (folder / "texts").mkdir()
    for language in ("de", "en"):
        (began / "texts" / f"train.{language}").write_text("ein\nzwei\n")
        (here / "texts" / f"train.{language}").write_text("drei\n")
    monkeypatch.chdir(here)
    languages = ["data.source_language=de", "data.target_language=en"]
    config = compose("train", "experiment=translation", "data=parallel_text", "data.root=texts", *languages)
    config["started_in"] = str(began)
    changed = overridden(config, {"data.root": "texts", "data.source_language": "de", "data.texts": None})
    assert changed["data"]["root"] == str(here / "texts")
    assert changed["data"]["source_language"] == "de"
    for one, number in ((config, 2), (changed, 1), ({**config, "started_in": None}, 1)):
        assert len(build_data(one, WordTokenizer(), WordTokenizer()).source("train")) == number
