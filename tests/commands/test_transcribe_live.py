"""``transcribe --live`` as people and programs call it."""

from __future__ import annotations

import builtins
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from multimodal_attn.__main__ import main
from multimodal_attn.commands import transcribe_live as command
from multimodal_attn.data.reading import live_sound
from multimodal_attn.data.reading.live_sound import LiveSound, piped
from tests.prediction.recordings.test_live import RATE, SAID, predictor_of, speech

SAMPLES, _ = speech(SAID)
INTEGERS = (32767 * SAMPLES).astype("<i2")


@pytest.fixture(autouse=True)
def run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda *args, **kwargs: predictor_of())


class Trickle(io.BytesIO):
    """A pipe in which 100 ms are ready at a time."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(RATE // 10 * 2)


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Trickle(content)))

    return give


def test_a_recording_is_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "said.wav"
    soundfile.write(path, SAMPLES, RATE)
    assert main(["transcribe", "run", "--live", str(path), "--speed", "50"]) == 0
    assert capsys.readouterr().out == " ".join(SAID) + "\n"


@pytest.mark.parametrize("kind", ["plain", "wav", "stereo", "unknown length"])
def test_samples_come_through_a_pipe(kind: str, stdin, capsys: pytest.CaptureFixture[str]) -> None:
    content = INTEGERS.tobytes()
    if kind != "plain":
        file = io.BytesIO()
        soundfile.write(file, np.stack([INTEGERS] * 2, 1) if kind == "stereo" else INTEGERS, RATE, format="WAV")
        content = file.getvalue()
    if kind == "unknown length":  # as programs that write into a pipe have it
        place = content.index(b"data") + 4
        content = content[:place] + b"\xff" * 4 + content[place + 4 :]
    stdin(content)
    assert main(["transcribe", "run", "--live", "-", "--rate", str(RATE), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [word["word"] for line in lines for word in line["words"]] == SAID
    assert all(set(line) == {"seconds", "words", "tentative"} for line in lines)
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)


def test_other_numbers_in_a_pipe_are_refused(stdin, capsys: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, RATE, format="WAV", subtype="FLOAT")
    stdin(file.getvalue())
    assert main(["transcribe", "run", "--live", "-"]) == 2
    assert "standard input: is a WAV file of 32-bit numbers of kind 3" in capsys.readouterr().err
    stdin(file.getvalue()[:20])
    assert main(["transcribe", "run", "--live", "-"]) == 2
    assert "ends within the header" in capsys.readouterr().err


def test_half_a_sample_waits_for_its_other_half() -> None:
    class Slow(io.RawIOBase):
        """A pipe that hands over three bytes at a time."""

        def __init__(self) -> None:
            self._content = io.BytesIO(INTEGERS[:1000].tobytes())

        def read(self, number: int = -1) -> bytes:
            return self._content.read(min(number, 3) if number > 4 else number)

    sound = piped(Slow(), RATE)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.concatenate(list(sound.chunks)), INTEGERS[:1000] / 32768, atol=1e-6)


def test_the_page_of_a_session_is_written_at_its_end(tmp_path: Path, stdin, capsys) -> None:
    page = tmp_path / "said.html"
    stdin(INTEGERS.tobytes())
    options = ["--rate", str(RATE), "--page", "--page-path", str(page)]
    assert main(["transcribe", "run", "--live", "-", *options]) == 0
    captured = capsys.readouterr()
    assert captured.out == " ".join(SAID) + "\n"
    assert captured.err == f"attention page: {page}\n"
    assert "<title>run: live</title>" in page.read_text()
    example = json.loads(page.read_text().partition('id="example-0">')[2].partition("</script>")[0])
    moments = example["hypotheses"][0]["moments"]
    assert [shown[-1][1] for shown, _ in moments] == SAID
    assert [sure for _, sure in moments] == sorted(sure for _, sure in moments)


def test_a_page_that_cannot_be_is_refused(tmp_path: Path, stdin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", "run", "said.wav", "--page"]) == 2
    assert "--page: given without --live; expected both, or predict RUN FILES --page" in capsys.readouterr().err
    assert main(["transcribe", "run", "--live", "-", "--page-path", "x"]) == 2
    assert "--page-path: given without --page" in capsys.readouterr().err


def test_ctrl_c_ends_after_the_last_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def chunks() -> Iterator[np.ndarray]:
        yield from np.split(SAMPLES[: 9 * RATE // 5], 18)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("goes on after a Ctrl-C")

    monkeypatch.setattr(command, "microphone", lambda rate: LiveSound(chunks(), rate))
    before = signal.getsignal(signal.SIGINT)
    assert main(["transcribe", "run", "--live"]) == 130
    captured = capsys.readouterr()
    assert captured.out == " ".join([*SAID[:3], "one"]) + "\n"
    assert captured.err == ""
    assert signal.getsignal(signal.SIGINT) is before


def test_without_portaudio_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["transcribe", "run", "--live"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the PortAudio library is missing" in line


def test_a_microphone_gives_all_that_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def __init__(self, samplerate: int, channels: int, dtype: str, callback) -> None:
            self.callback = callback

        def __enter__(self) -> None:
            for number in range(3):
                self.callback(np.full((4, 1), number, dtype=np.float32), 4, None, None)

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(InputStream=Stream, PortAudioError=RuntimeError))
    sound = live_sound.microphone(RATE)
    assert next(sound.chunks).tolist() == [0.0] * 4 + [1.0] * 4 + [2.0] * 4


def test_a_terminal_shows_what_is_not_sure(monkeypatch: pytest.MonkeyPatch, stdin, capsys) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    stdin(INTEGERS.tobytes())
    assert main(["transcribe", "run", "--live", "-", "--rate", str(RATE)]) == 0
    out = capsys.readouterr().out
    assert "\x1b[2muh\x1b[0m" in out
    assert out.rpartition("\r\x1b[K")[2].replace("\x1b[2m", "").replace("\x1b[0m", "").split() == SAID


def test_what_makes_no_sense_is_said(stdin, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--margin", "-1"], "--margin: -1"),
        (["--speed", "0"], "--speed: 0"),
        (["--rate", "1"], "--rate: 1"),
    ):
        assert main(["transcribe", "run", "--live", "-", *arguments]) == 2
        assert message in capsys.readouterr().err
    stdin(b"")
    assert main(["transcribe", "run", "--live", "-"]) == 1
    assert capsys.readouterr().err == "no word is heard in 0.0 s\n"
