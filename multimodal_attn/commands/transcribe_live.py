"""Transcribing while someone is still speaking, from the command line."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from multimodal_attn.data.reading.live_sound import LiveSound, microphone, piped, played
from multimodal_attn.inspection.page.page import write_page
from multimodal_attn.parts import checked
from multimodal_attn.prediction.recordings.live import Heard, Live, LiveSettings
from multimodal_attn.prediction.recordings.live_record import LiveRecord
from multimodal_attn.ranges import BeamWidth, NotNegative, SampleRate
from multimodal_attn.runs.loading import load

_NEW_LINE_SECONDS = 1.0  # of silence between two words
_DIM, _PLAIN, _CLEAR = "\x1b[2m", "\x1b[0m", "\r\x1b[K"


def transcribe_live(
    run: Path,
    sound: str,
    *,
    width: int = 5,
    ensemble: Sequence[Path] = (),
    trust: Sequence[str] = (),
    word_times: Literal["attention", "ctc"] = "attention",
    margin_seconds: float | None = None,
    speed: float = 1.0,
    sample_rate: int | None = None,
    as_json: bool = False,
    page: Path | None = None,
) -> int:
    """Prints words as soon as they are sure; on a terminal the others after them, dimmed.

    Args:
        run: folder or checkpoint file.
        sound: "microphone", "-" for standard input, or a recording to play.
        width: of the beam.
        ensemble: further runs that predict together with it.
        trust: packages whose classes a checkpoint may name.
        word_times: "attention" or "ctc".
        margin_seconds: of sound after a word until it is sure; None for the usual.
        speed: of a recording.
        sample_rate: of samples without a header on standard input, in Hz; None for the run's.
        as_json: print a line of json whenever words are new or have changed.
        page: where to write the attention page of the session's last minutes, or None.

    Returns:
        The exit status: 1 if no word is heard.
    """
    checked("--width", width, BeamWidth)
    checked("--speed", speed, Annotated[float, Gt(0)])
    checked("--rate", sample_rate, SampleRate | None)
    checked("--margin", margin_seconds, NotNegative | None)
    checked("--word-times", word_times, Literal["attention", "ctc"])
    predictor = load(run, width, ensemble, trust=trust)
    margin = LiveSettings.margin_seconds if margin_seconds is None else margin_seconds
    live = Live(predictor, LiveSettings(margin_seconds=margin, word_times=word_times))
    record = None if page is None else LiveRecord(live)
    rate = sample_rate or predictor.reader.sample_rate
    match sound:
        case "microphone":
            source = microphone(predictor.reader.sample_rate)
        case "-":
            source = piped(sys.stdin.buffer, rate)
        case _:
            source = played(sound, speed)
    printed = _Json() if as_json else _Terminal() if sys.stdout.isatty() else _Plain()
    with _Interrupts() as interrupts:
        for heard in (record or live)(interrupts.until_interrupted(source), source.sample_rate):
            printed.add(heard)
    printed.end()
    if record is not None and page is not None and printed.number:
        name = {"-": "standard input"}.get(sound, sound)
        print(f"attention page: {write_page([record.prediction(name)], page, f'{run.name}: live')}", file=sys.stderr)
    if interrupts.interrupted:
        raise KeyboardInterrupt
    if not printed.number:
        print(f"no word is heard in {live.seconds:.1f} s", file=sys.stderr)
    return 0 if printed.number else 1


class _Interrupts:
    """Lets a first Ctrl-C end the sound and nothing else: what was heard until then is still written."""

    def __init__(self) -> None:
        self.interrupted = self._waiting = False

    def __enter__(self) -> _Interrupts:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again, self.interrupted = self.interrupted, True
        if again or self._waiting:
            raise KeyboardInterrupt

    def until_interrupted(self, sound: LiveSound) -> Iterator[np.ndarray]:
        while not self.interrupted:
            self._waiting = True
            try:
                chunk = next(sound.chunks, None)
            except KeyboardInterrupt:
                return
            finally:
                self._waiting = False
            if chunk is None:
                return
            yield chunk


class _Plain:
    """For files and pipes: the sure words, a new line after each pause.

    Attributes:
        number: of words so far.
    """

    def __init__(self) -> None:
        self.number = 0
        self._last_end = 0.0

    def add(self, heard: Heard) -> None:
        """Prints what is new."""
        for word in heard.words:
            self._add_word(word.text, self.number > 0 and word.start - self._last_end > _NEW_LINE_SECONDS)
            self.number, self._last_end = self.number + 1, word.end
        self._show(" ".join(word.text for word in heard.tentative))

    def end(self) -> None:
        """Prints what belongs after the last word."""
        if self.number:
            print(flush=True)

    def _add_word(self, text: str, after_pause: bool) -> None:
        """Prints a word that is sure."""
        space = "" if not self.number else "\n" if after_pause else " "
        print(space + text, end="", flush=True)

    def _show(self, tentative: str) -> None:
        """Shows words that may still change."""


class _Json(_Plain):
    """For programs: a line of json each time."""

    def add(self, heard: Heard) -> None:
        self.number += len(heard.words)
        print(json.dumps(heard.as_dict(), ensure_ascii=False), flush=True)

    def end(self) -> None:
        pass


class _Terminal(_Plain):
    """For people: the line that is being said is written again each time, what is not sure in it dimmed."""

    def __init__(self) -> None:
        super().__init__()
        self._line = ""

    def _add_word(self, text: str, after_pause: bool) -> None:
        longer = f"{self._line} {text}".lstrip()
        if after_pause or len(longer) >= _columns():
            print(f"{_CLEAR}{self._line}")
            longer = text
        self._line = longer

    def _show(self, tentative: str) -> None:
        line = f"{self._line} ".lstrip()
        room = _columns() - len(line) - 1
        tentative = tentative if len(tentative) <= room else tentative[: max(0, room - 1)] + "…"
        print(f"{_CLEAR}{line}{_DIM}{tentative}{_PLAIN}", end="", flush=True)


def _columns() -> int:
    return shutil.get_terminal_size().columns
