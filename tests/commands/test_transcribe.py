from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from multimodal_attn.commands import transcribe as command
from multimodal_attn.prediction.recordings.transcript import TimedWord

RATE = 8000


@pytest.fixture
def transcribe(monkeypatch: pytest.MonkeyPatch):
    """The command with a recognizer that hears one word in whatever is not silent."""

    def decode(waveforms: list[torch.Tensor]) -> list[list[TimedWord]]:
        return [[TimedWord("word", 0.1, 0.2)] for _ in waveforms]

    predictor = SimpleNamespace(reader=SimpleNamespace(sample_rate=RATE), max_seconds=None)
    monkeypatch.setattr(command, "load", lambda *args, **kwargs: predictor)
    monkeypatch.setattr(command, "decoder_of", lambda *args: decode)
    return command.transcribe


def record(path: Path, loudness: float = 0.1, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = loudness * np.random.default_rng(0).uniform(-1, 1, round(seconds * RATE))
    soundfile.write(path, sound, RATE)
    return path


def test_silence_is_said(transcribe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent, loud = record(tmp_path / "silent.wav", 0.0, 50.0), record(tmp_path / "loud.wav")
    assert transcribe(Path("run"), [silent], ["txt"], None) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{silent}: no word is heard in its 50.0 s\n"
    assert transcribe(Path("run"), [silent, loud], ["txt"], None) == 0


def test_what_cannot_be_used_is_skipped_by_name(transcribe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = record(tmp_path / "cut.wav")
    cut.write_bytes(cut.read_bytes()[:6000])
    loud = record(tmp_path / "loud.wav")
    assert transcribe(Path("run"), [cut, loud], ["txt"], None) == 0
    captured = capsys.readouterr()
    assert f"skipped {cut}: truncated: 5956 of 16000 bytes of sound are there" in captured.err
    assert "word" in captured.out
    assert transcribe(Path("run"), [cut], ["txt"], None) == 1


def test_recordings_of_one_name_are_all_written(transcribe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = [record(tmp_path / place / "x.wav") for place in ("a", "b")] + [record(tmp_path / "y.wav")]
    assert transcribe(Path("run"), named, ["srt", "ctm"], tmp_path / "out") == 0
    written = capsys.readouterr().out.splitlines()
    assert len({line.partition("\t")[0] for line in written}) == 6 == len(list((tmp_path / "out").iterdir()))
    assert [line.partition("\t")[2] for line in written] == [str(path) for path in named[:2] for _ in range(2)] + [
        "",
        "",
    ]
    assert str(tmp_path / "out" / "y.srt") in written
    first = [file.read_text().split()[0] for file in sorted((tmp_path / "out").glob("*.ctm"))]
    assert len(set(first)) == 3
