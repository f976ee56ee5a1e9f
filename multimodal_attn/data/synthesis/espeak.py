"""Speech from espeak-ng with the time of every word.

The library keeps state from one sentence to the next (noise, flutter, echo), so the same sentence never sounds the same
twice in one process; a fresh process that speaks the same list does repeat itself, bit by bit. `speak` therefore runs
this very file as a program for each list. It imports neither torch nor the rest of the package, so that such a process
starts in a fraction of a second.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

SAMPLE_RATE = 22050  # of espeak-ng's own voices

# Names and numbers of speak_lib.h.
_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples are handed to the callback while espeak_Synth runs
_PHONEME_EVENTS, _DO_NOT_EXIT = 0x0001, 0x8000  # options of espeak_Initialize
_EVENT_LIST_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_POSITION_CHARACTER, _UTF8 = 1, 1

_HOP = 110  # samples, 5 ms
_AUDIBLE = 10 ** (-45 / 20)  # of the loudest 5 ms of the utterance; closures of p, t, k and pauses lie far below


@dataclass(frozen=True)
class Line:
    """What to say: lower-case words separated by single spaces, words a minute, pitch and its range from 0 to 99."""

    text: str
    rate: int = 175
    pitch: int = 50
    range: int = 50


@dataclass(frozen=True)
class Speech:
    """What was said: samples (L,) int16 at 22050 Hz, and start and end of each word in seconds."""

    samples: np.ndarray
    spans: list[tuple[float, float]]


def speak(voice: str, lines: list[Line]) -> list[Speech | None]:
    """Says the lines in their order, in a process of its own.

    Args:
        voice: an espeak-ng voice, with a variant after a plus sign: "en-us+f3".
        lines: what to say.

    Returns:
        One for each line; None where not every word of it could be found again in the speech.

    Raises:
        RuntimeError: if the synthesizer fails or is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        pcm = Path(folder) / "speech.pcm"
        # -P: the program's folder must not hide modules of the same name.
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).resolve()), voice, str(pcm)],
            input=json.dumps([asdict(line) for line in lines]),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip() or f"it ended with code {done.returncode}").splitlines()[-1]
            raise RuntimeError(f"espeak-ng could not speak as '{voice}': {reason}")
        samples = np.fromfile(pcm, dtype=np.int16)
    spoken = json.loads(done.stdout.splitlines()[-1])
    ends = np.cumsum([count for count, _ in spoken])
    parts = np.split(samples, ends[:-1])
    return [
        None if spans is None else Speech(part, [(start, end) for start, end in spans])
        for part, (_, spans) in zip(parts, spoken, strict=True)
    ]


def audible_spans(samples: np.ndarray, starts: list[int]) -> list[tuple[float, float]] | None:
    """Narrows each word, which reaches from its start to the next one's, to what can be heard of it.

    The synthesizer counts silence before a word (a pause, the closure of its first plosive) as part of it.

    Args:
        samples: (L,) the clean utterance at 22050 Hz.
        starts: the sample at which each word begins, ascending.

    Returns:
        Start and end of each word in seconds; None if a word cannot be heard.
    """
    hops = len(samples) // _HOP
    level = np.sqrt((samples[: hops * _HOP].reshape(hops, _HOP).astype(np.float64) ** 2).mean(axis=1))
    audible = level > _AUDIBLE * level.max(initial=0.0)
    spans = []
    for start, stop in zip(starts, [*starts[1:], len(samples)], strict=True):
        heard = np.flatnonzero(audible[-(-start // _HOP) : stop // _HOP]) + -(-start // _HOP)
        if not len(heard):
            return None
        spans.append((max(start, heard[0] * _HOP) / SAMPLE_RATE, min(stop, (heard[-1] + 1) * _HOP) / SAMPLE_RATE))
    return spans


def word_starts(text: str, events: list[tuple[int, int, int, str]]) -> list[int] | None:
    """The sample at which each word starts.

    "on the", "in the", "for the" and the like are one entry of the pronouncing dictionary and one event; their second
    word starts at the last "th" of the entry.

    Args:
        text: words separated by single spaces.
        events: (type, text position from 1, sample, phoneme) in the order of time.

    Returns:
        None if the events do not tell.
    """
    positions = [1 + len(" ".join([*text.split()[:index], ""])) for index in range(len(text.split()))]
    found: dict[int, int] = {}
    word = 0
    voiced_th: dict[int, int] = {}  # text position of the word spoken -> sample of its last one
    for kind, position, sample, phoneme in events:
        if kind == _EVENT_WORD:
            word = position
            found.setdefault(position, sample)
        elif phoneme == "D":
            voiced_th[word] = sample
    starts = []
    for index, (position, spelling) in enumerate(zip(positions, text.split(), strict=True)):
        if position in found:
            starts.append(found[position])
        elif spelling == "the" and index and positions[index - 1] in voiced_th:
            starts.append(voiced_th[positions[index - 1]])
        else:
            return None
    return starts if starts == sorted(set(starts)) and set(found) <= set(positions) else None


# ------------------------------------------------------------------------------------ the program in its own process


class _Identifier(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def _main(voice: str, pcm: str) -> None:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    # The library cuts a long path to its data off; the folder above as working directory keeps it short.
    os.chdir(Path(espeakng_loader.get_data_path()).parent)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, b".", _PHONEME_EVENTS | _DO_NOT_EXIT)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak_Initialize returned {rate} instead of {SAMPLE_RATE}")
    chunks: list[np.ndarray] = []
    events: list[tuple[int, int, int, str]] = []

    def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, first: ctypes._Pointer[_Event]) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while (event := first[index]).type != _EVENT_LIST_END:
            if event.type in (_EVENT_WORD, _EVENT_PHONEME):
                phoneme = event.id.string.decode("utf-8", "replace") if event.type == _EVENT_PHONEME else ""
                events.append((event.type, event.text_position, event.sample, phoneme))
            index += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError("there is no such voice")
    told = []
    with open(pcm, "wb") as file:
        for line in map(lambda entry: Line(**entry), json.load(sys.stdin)):
            chunks.clear()
            events.clear()
            for parameter, value in ((_RATE, line.rate), (_PITCH, line.pitch), (_RANGE, line.range)):
                library.espeak_SetParameter(parameter, value, 0)
            text = line.text.encode()
            status = library.espeak_Synth(text, len(text) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
            if status != 0 or not chunks:
                raise RuntimeError(f"espeak_Synth returned {status} for '{line.text}'")
            samples = np.concatenate(chunks)
            samples.tofile(file)
            starts = word_starts(line.text, events)
            told.append((len(samples), starts and audible_spans(samples, starts)))
    print(json.dumps(told))


if __name__ == "__main__":
    _main(*sys.argv[1:])
