"""A recording that is decoded block by block to its end, whatever its header says of its length."""

from __future__ import annotations

import os
from collections.abc import Iterator
from os import PathLike
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile

from multimodal_attn.data.reading.containers import SLACK, Truncated, look_at
from multimodal_attn.data.reading.mpeg_frames import count_frames
from multimodal_attn.data.reading.patched_file import Patched, patched
from multimodal_attn.types import UnreadableError

SAMPLE_RATES = (2_000, 384_000)
"""Lowest and highest, in Hz; what says otherwise is damaged."""
FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "SVX", "NIST", "FLAC", "OGG", "MP3", "HTK")
"""Whose length can be held against the file. Of others that libsndfile reads, a file that was cut off looks whole."""
_AT_ONCE = 1 << 20  # samples of all channels together that are decoded in one go
_SECONDS_MISSING = 1.0  # at most, of a recording that counts as whole
_OPPOSITE = -0.5  # correlation with the loudest channel below which another one is of opposite phase


class AudioFile:
    """A recording, to be decoded forward in a ``with`` statement.

    Args:
        path: anything that libsndfile reads (wav, flac, ogg, mp3, aiff, ...), or its content.

    Attributes:
        name: for errors.
        sample_rate: in Hz.
        frames: samples of each channel by the header, where the file bears it out; None where it says nothing.
        position: samples of each channel that have been passed.
        integers: the samples are whole numbers in the file, so that none can lie beyond 1.

    Raises:
        UnreadableError: missing, not audio, cut off, or of a sample rate outside of ``SAMPLE_RATES``.
    """

    def __init__(self, path: str | PathLike[str] | BinaryIO) -> None:
        self.name, self.position = str(path), 0
        self._own: BinaryIO | None = None
        self._decoder: _Decoder | None = None
        try:
            if isinstance(path, str | PathLike):
                if os.path.exists(path) and not os.path.isfile(path):  # to open a pipe would wait for ever
                    raise Unsupported("is no file")
                self._own = open(path, "rb", buffering=0)  # noqa: SIM115
                self._open(self._own)
            else:
                self._open(path)
        except Exception as error:
            self.close()
            raise self._unreadable(error) from error
        low, high = SAMPLE_RATES
        if not low <= self.sample_rate <= high:
            self.close()
            raise UnreadableError(self.name, f"has a sample rate of {self.sample_rate} Hz; expected {low} to {high}")

    def _open(self, file: BinaryIO) -> None:
        found = look_at(file)
        counted = count_frames(file) if found.kind == "mp3" else None
        file.seek(0)
        # By its descriptor, a file is read without calls back into Python.
        plain = file.fileno() if file is self._own else file
        self._decoder = _Decoder(patched(file, found.patches) if found.patches else plain, closefd=False)
        if self._decoder.format not in FORMATS:
            raise Unsupported(f"is a recording in the format {self._decoder.format}; expected {', '.join(FORMATS)}")
        told = self._decoder.frames if found.told is None else found.told
        if counted is not None:
            slack = 3 * counted.in_frame  # of the delay that a decoder takes away
            if counted.tag is not None and counted.samples < (1 - SLACK) * told - slack:
                raise Truncated(f"truncated: {counted.samples} of {told} samples are there")
            if abs(counted.samples - told) > slack:
                # Without a tag, libsndfile guesses by the size and stops there: a larger size lets it go on to the end.
                self._decoder.close()
                mask = () if counted.tag is None else ((counted.tag, bytes(4)),)
                self._decoder = _Decoder(Patched(file, mask, 1000 * file.seek(0, os.SEEK_END)))
                told = counted.samples
        self.frames = told or (None if found.kind == "flac" else 0)
        self.sample_rate = self._decoder.samplerate
        self.integers = self._decoder.subtype.startswith("PCM_")

    def skip(self, frames: int) -> bool:
        """Passes so many samples of each channel; whether any are left."""
        assert self._decoder is not None
        try:
            self._decoder.seek(frames, soundfile.SEEK_CUR)
            self.position += frames
        except soundfile.SoundFileError:  # beyond the end, or in a format without seeking
            for _ in self.blocks(frames):
                pass
            return self.position == frames
        return True

    def blocks(self, frames: int | None = None) -> Iterator[np.ndarray]:
        """What follows, mixed to one channel; at most so many samples.

        Shapes:
            Each is (L,) float32, L above 0.

        Raises:
            UnreadableError: if it cannot be decoded, or ends long before the header says.
        """
        assert self._decoder is not None
        at_once = max(1, _AT_ONCE // self._decoder.channels)
        if self.frames is not None:  # one more shows that this is the end
            at_once = min(at_once, max(1, self.frames - self.position + 1))
        left = frames
        while left is None or left > 0:
            wanted = at_once if left is None else min(at_once, left)
            try:
                samples = self._decoder.read(wanted, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                raise self._unreadable(error) from error
            self.position += len(samples)
            if len(samples):
                yield mixed(samples)
            if len(samples) < wanted:
                self._check_end()
                return
            left = None if left is None else left - len(samples)

    def _check_end(self) -> None:
        # A transcript of the whole on half of the recording would teach nonsense.
        told = self.frames or 0
        if told - self.position > min(SLACK * told, _SECONDS_MISSING * self.sample_rate):
            raise UnreadableError(self.name, f"truncated: {self.position} of {told} samples could be decoded")

    def _unreadable(self, error: Exception) -> UnreadableError:
        if isinstance(error, Truncated | Unsupported):
            return UnreadableError(self.name, str(error))
        if isinstance(error, FileNotFoundError):
            return UnreadableError(self.name, "no such file")
        # In its own words, which say nothing of how it was given.
        text = str(error)
        if isinstance(error, soundfile.LibsndfileError):
            text = error.error_string
        elif isinstance(error, OSError) and error.strerror:
            text = error.strerror
        line = (text.strip() or type(error).__name__).splitlines()[0]
        return UnreadableError(self.name, f"not readable as audio ({line})")

    def close(self) -> None:
        """Closes what has been opened here."""
        if self._decoder is not None:
            self._decoder.close()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Unsupported(ValueError):
    """A format whose files cannot be trusted."""


class _Decoder(soundfile.SoundFile):
    """Reads forward, without the seek by which soundfile follows every read, and which not every format has."""

    def seekable(self) -> bool:
        return False


def mixed(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels, without those of a phase opposite to the loudest: they would cancel it.

    Shapes:
        samples: (L, channels). Returns (L,).
    """
    if samples.shape[1] == 1:
        return samples[:, 0]
    power = np.einsum("lc,lc->c", samples, samples, dtype=np.float64)
    loudest = int((power > power.max() / 2).argmax())  # the first of those that are about as loud
    product = np.einsum("lc,l->c", samples, samples[:, loudest], dtype=np.float64)
    opposite = product < _OPPOSITE * np.sqrt(power * power[loudest])
    return (samples[:, ~opposite] if opposite.any() else samples).mean(axis=1)
