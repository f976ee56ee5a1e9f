from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from multimodal_attn.__main__ import main
from multimodal_attn.data.synthesis import espeak

pytest.importorskip("pocketsphinx")


def test_own_recordings_are_aligned_beside_their_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("espeakng_loader")
    (speech,) = espeak.speak("en-us", [espeak.Line("turn on the lights", rate=150, pitch=50, range=50)])
    assert speech is not None
    soundfile.write(tmp_path / "a.wav", speech.samples, espeak.SAMPLE_RATE)
    soundfile.write(tmp_path / "b.wav", np.random.default_rng(0).standard_normal(12_000) / 10, 8_000)
    (tmp_path / "mine.csv").write_text("audio,text\na.wav,Turn on the lights!\nb.wav,xqzt\n")
    kept = {"split": "test", "key": "c", "by": "x", "words": [{"word": "no", "start": 0.0, "end": 0.1}]}
    (tmp_path / "word_times.jsonl").write_text(json.dumps(kept) + "\n")
    (tmp_path / "word_times.test.skipped.txt").write_text("d.wav\tnothing is heard\n")
    list_of = tmp_path / "mine.csv"
    assert main(["align", "data=manifest", f"data.train={list_of}", f"data.val={list_of}"]) == 0
    out, errors = capsys.readouterr()
    assert "val: 1 of 2 recordings align, 4 words" in out
    assert f"data.word_times={tmp_path / 'word_times.jsonl'}" in out
    assert "1 have no times" in errors
    assert "dictionary lacks xqzt" in (tmp_path / "word_times.val.skipped.txt").read_text()
    assert "d.wav" in (tmp_path / "word_times.test.skipped.txt").read_text()
    before, found = map(json.loads, (tmp_path / "word_times.jsonl").read_text().splitlines())
    assert before == kept  # of another split
    assert [word["word"] for word in found["words"]] == ["turn", "on", "the", "lights"]
    assert found["by"].startswith("pocketsphinx")
    assert found["audio"] == "a.wav"
    written = tmp_path / "as_written.jsonl"
    as_written = ["data.normalize=none", "--output", str(written)]
    assert main(["align", "data=manifest", f"data.train={list_of}", f"data.val={list_of}", *as_written]) == 0
    (same,) = map(json.loads, written.read_text().splitlines())
    assert [word.pop("word") for word in same["words"]] == ["Turn", "on", "the", "lights!"]
    assert same["words"] == [{"start": word["start"], "end": word["end"]} for word in found["words"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=manifest", "data.train=x.csv", "--splits", "dev"], "--splits: 'dev'"),
        (["data=spoken"], "--output: missing"),
        (["data=spoken", "--output", "times.txt"], "ends in .jsonl"),
    ],
)
def test_what_cannot_be_aligned(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["align", *arguments]) != 0
    assert message in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named_before_anything_is_aligned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_aligner() -> None:
        raise AssertionError("hours of work would be lost")

    monkeypatch.setattr("multimodal_attn.commands.align.Aligner", no_aligner)
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 8_000)
    (tmp_path / "mine.csv").write_text("audio,text\na.wav,hello\n")
    output = tmp_path / "mine.csv" / "times.jsonl"
    listed = [f"data.{split}={tmp_path / 'mine.csv'}" for split in ("train", "val")]
    assert main(["align", "data=manifest", *listed, "--output", str(output)]) == 2
    assert str(output) in capsys.readouterr().err
