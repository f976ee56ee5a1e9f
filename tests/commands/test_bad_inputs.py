"""Command lines that make no sense: exit status 2, one line that says what was expected, and no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from multimodal_attn.__main__ import main
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from tests.prediction.test_bad_checkpoints import SPEECH, checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of speech that has learnt nothing."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(checkpoint(SPEECH, CharacterTokenizer().fit(["nine one"])), folder / "checkpoints" / "best.ckpt")
    (folder / "sound.wav").write_bytes(b"no sound")
    (folder / "empty").mkdir()
    return folder


NUMBERS = ("0", "-1", "nan", "inf", "1e400", "x", "")
COMMANDS = [
    *(f"transcribe RUN RUN/sound.wav --max-seconds={value}" for value in (*NUMBERS, "0.02")),
    *(f"transcribe RUN RUN/sound.wav --overlap={value}" for value in NUMBERS if value != "0"),
    *(f"transcribe RUN RUN/sound.wav --batch-size={value}" for value in (*NUMBERS, "1.5")),
    *(f"transcribe RUN RUN/sound.wav --format={value}" for value in ("", "x", "srt,", ",", "srt,srtt", "SRT")),
    *(f"transcribe RUN RUN/sound.wav --word-times={value}" for value in ("x", "ctc", "")),
    *(f"{command} RUN RUN/sound.wav --width={value}" for command in ("predict", "transcribe") for value in NUMBERS),
    *(
        f"{command} {place} RUN/sound.wav"
        for command in ("predict", "transcribe")
        for place in ("NOWHERE", "RUN/empty")
    ),
    *(f"{command} RUN/sound.wav RUN/sound.wav" for command in ("predict", "transcribe")),
    *(
        f"{command} RUN RUN/sound.wav --with={place}"
        for command in ("predict", "transcribe")
        for place in ("NOWHERE", "RUN/empty")
    ),
    "transcribe RUN RUN/sound.wav --output=RUN/sound.wav",
    "predict RUN RUN/sound.wav --page-path=x.html",
    *(f"compare {place}" for place in ("NOWHERE", "RUN", "RUN/empty", "RUN/sound.wav")),
    *(f"compare RUN --split={value}" for value in ("x", "", "../x", "*")),
    "compare RUN --output=RUN/sound.wav",
    *(f"shards data=dates --output=OUT --splits={value}" for value in ("x", "", "train,x", "val,")),
    *(f"shards data=dates --output=OUT --shard-megabytes={value}" for value in NUMBERS),
    *(
        f"shards {data} --output=OUT"
        for data in ("data=x", "data=shards data.root=NOWHERE", "data=flickr8k", "data.seed=-1")
    ),
    "shards --verify=NOWHERE",
    "shards --verify=RUN/sound.wav",
    "shards data=dates --output=RUN",
    "cache --folder=RUN/sound.wav",
    *(f"cache --empty --older-than={value}" for value in ("nan", "x", "")),
    *(f"generate RUN --samples={value}" for value in (*NUMBERS, "1001", "1.5")),
    *(f"generate RUN --temperature={value}" for value in NUMBERS),
    *(f"generate RUN --top-p={value}" for value in (*NUMBERS, "1.1")),
    *(f"generate RUN --seed={value}" for value in (*NUMBERS[1:], "99999999999999999999")),
    *(f"generate RUN --max-length={value}" for value in (*NUMBERS, "1000000000000")),
    *(f"generate {place}" for place in ("RUN", "NOWHERE", "RUN/empty", "RUN/sound.wav")),
    *(f"export {place} OUT" for place in ("NOWHERE", "RUN/empty", "RUN/sound.wav")),
    *(f"export RUN {place}" for place in ("RUN/sound.wav", ".", "..", "/")),
    *(f"export RUN OUT --width={value}" for value in NUMBERS),
    "export RUN OUT --int8 --fp16",
    *(f"measure {maps} {truth}" for maps in ("NOWHERE", "RUN", "RUN/sound.wav") for truth in ("NOWHERE", "RUN")),
    *(f"align {data}" for data in ("data=x", "data=shapes", "data=digits", "data=digits data.root=NOWHERE")),
    *(f"align data=digits data.root=RUN --splits={value}" for value in ("x", "", "val,")),
    *(f"align data=digits data.root=RUN --output={value}" for value in ("RUN", "x.txt", "RUN/sound.wav", ".")),
    "predict",
    "x",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_makes_no_sense_ends_in_a_sentence(
    command: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(run.rglob("*"))
    words = [word.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")) for word in command.split()]
    try:
        status = main(words)
    except SystemExit as error:  # argparse's
        status = error.code  # type: ignore[assignment]
    lines = capsys.readouterr().err.splitlines()
    assert status == 2, lines
    assert "error: " in lines[-1]
    assert not any("Traceback" in line for line in lines)
    assert not list(tmp_path.iterdir())
    assert sorted(run.rglob("*")) == before


ODD = [
    "pipe",
    "loop",
    "/dev/null",
    "/dev/full",
    "a" * 300,
    "a/" * 2100,
    "x\ny.wav",
    "~nobody/x.wav",
    "\udcff.wav",
    "",
    "*",
]
"""Paths that are no file, or that no file system has."""
PLACES = [
    *("predict RUN PATH", "transcribe RUN PATH", "predict PATH RUN/sound.wav", "predict RUN RUN/sound.wav --with=PATH"),
    *("generate PATH", "export PATH OUT", "measure PATH PATH", "align data=digits data.root=PATH --output=x.jsonl"),
    *("compare PATH", "shards --verify=PATH", "shards data=manifest data.train=PATH --output=OUT"),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", PLACES)
def test_an_odd_path_ends_in_a_sentence(
    place: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    for odd in ODD:
        words = [word.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")) for word in place.split()]
        status = main([word.replace("PATH", odd) for word in words])
        errors = capsys.readouterr().err
        assert status in (1, 2), (odd, errors)
        assert errors, odd
        assert "Traceback" not in errors, (odd, errors)
        assert sorted(tmp_path.iterdir()) == before, odd
