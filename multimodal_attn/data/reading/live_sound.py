"""Sound as it comes: from a microphone, through a pipe, or from a file that is played at its speed."""

from __future__ import annotations

import queue
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from multimodal_attn.data.reading.audio_file import SAMPLE_RATES, AudioFile, mixed
from multimodal_attn.optional_packages import require_packages
from multimodal_attn.types import UnreadableError

_AT_ONCE = 1 << 16  # bytes of a pipe
_SHORTEST_SECONDS = 0.02  # of what is played in one piece
_PCM, _EXTENSIBLE = 1, 0xFFFE  # of a WAV file's format


class LiveSound(NamedTuple):
    """Sound that is still going on.

    Attributes:
        chunks: (L,) float32 each, all that has come since the last.
        sample_rate: in Hz.
    """

    chunks: Iterator[np.ndarray]
    sample_rate: int


def played(path: str | Path, speed: float) -> LiveSound:
    """A recording as it would be heard.

    Args:
        path: anything that libsndfile reads.
        speed: 1 for its own; higher to hear it sooner.

    Raises:
        UnreadableError: if it cannot be read; from ``chunks``, if it cannot be decoded.
    """
    file = AudioFile(path)

    def chunks() -> Iterator[np.ndarray]:
        begin, shortest = time.monotonic(), max(1, round(_SHORTEST_SECONDS * file.sample_rate))
        with file:
            while True:
                due = round((time.monotonic() - begin) * speed * file.sample_rate) - file.position
                if due < shortest:
                    time.sleep((shortest - due) / file.sample_rate / speed)
                    continue
                before = file.position
                yield from file.blocks(due)
                if file.position < before + due:
                    return

    return LiveSound(chunks(), file.sample_rate)


def piped(stream: BinaryIO, sample_rate: int, name: str = "standard input") -> LiveSound:
    """What comes through a pipe: a WAV file of 16-bit integers, or such integers alone (little-endian, one channel).

    Args:
        stream: to read.
        sample_rate: where there is no header that says another, in Hz.
        name: for errors.

    Raises:
        UnreadableError: for a WAV file of other numbers.
    """
    head = stream.read(4)
    channels = 1
    left: int | None = None
    if head == b"RIFF":
        channels, sample_rate, left = _wav_header(stream, name)
        head = b""

    def chunks() -> Iterator[np.ndarray]:
        kept, remaining, whole = head, left, 2 * channels
        while remaining is None or remaining > 0:
            # What is there at once, where the stream can tell; else a little, so that nothing waits for long.
            read = getattr(stream, "read1", None)
            found = read(_AT_ONCE) if read else stream.read(whole * round(_SHORTEST_SECONDS * sample_rate))
            if not found:
                return
            if remaining is not None:
                found = found[:remaining]
                remaining -= len(found)
            kept += found
            usable = len(kept) // whole * whole
            samples = np.frombuffer(kept[:usable], dtype="<i2").reshape(-1, channels).astype(np.float32) / 32768
            kept = kept[usable:]
            if len(samples):
                yield mixed(samples)

    return LiveSound(chunks(), sample_rate)


def _wav_header(stream: BinaryIO, name: str) -> tuple[int, int, int | None]:
    """Channels, rate, and the bytes of samples that follow, None where the header does not know."""

    def exactly(number: int) -> bytes:
        found = stream.read(number)
        if len(found) < number:
            raise UnreadableError(name, "ends within the header of a WAV file")
        return found

    if exactly(8)[4:] != b"WAVE":
        raise UnreadableError(name, "is a RIFF file without sound; expected WAV, or 16-bit samples alone")
    found: tuple[int, int] | None = None
    while True:
        kind, size = struct.unpack("<4sI", exactly(8))
        if kind == b"data":
            if found is None:
                raise UnreadableError(name, "is a WAV file that does not say what its samples are")
            # Programs that write into a pipe do not know the length: they put 0, or the largest number.
            return (*found, size if 0 < size < 0x7FFFFFFF else None)
        content = exactly(size + size % 2)
        if kind == b"fmt ":
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
            if tag == _EXTENSIBLE and size >= 26:
                (tag,) = struct.unpack_from("<H", content, 24)
            if tag != _PCM or bits != 16 or not channels or not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
                raise UnreadableError(
                    name,
                    f"is a WAV file of {bits}-bit numbers of kind {tag}, {channels} channels and {rate} Hz; expected"
                    " 16-bit integers",
                )
            found = (channels, rate)


def microphone(sample_rate: int) -> LiveSound:
    """The computer's microphone.

    Args:
        sample_rate: to ask for, in Hz.

    Raises:
        ValueError: if there is none, or what is needed to hear it is missing.
    """
    require_packages("--live", "live", "sounddevice")
    try:
        import sounddevice
    except OSError:
        raise ValueError(
            "--live: the PortAudio library is missing, without which there is no microphone; install it (Debian:"
            " libportaudio2), or name a file, or - for standard input"
        ) from None
    heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    try:
        stream = sounddevice.InputStream(
            samplerate=sample_rate,
            channels=1,
            dtype="float32",
            callback=lambda samples, number, when, status: heard.put(samples[:, 0].copy()),
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ValueError(f"--live: no microphone ({error}); expected one, or a file, or - for standard input") from None

    def chunks() -> Iterator[np.ndarray]:
        with stream:
            while True:
                found = [heard.get()]
                while not heard.empty():
                    found.append(heard.get())
                yield np.concatenate(found)

    return LiveSound(chunks(), sample_rate)
