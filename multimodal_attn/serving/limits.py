"""How much a server takes: of one request, and of all that wait."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image

from multimodal_attn.data.reading.audio_file import AudioFile
from multimodal_attn.types import Modality, UnreadableError


class TooLargeError(ValueError):
    """A source beyond a limit."""


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Attributes:
        max_megabytes: of a request.
        max_megapixels: of a picture.
        max_seconds: of a recording.
        max_characters: of a text.
        timeout_seconds: from a request to its answer.
        waiting: requests that may wait, those at work included; others are told to come back.
        together: sources that are decoded together at most.
        max_width: of the beam that a request may ask for.
    """

    max_megabytes: float = 20.0
    max_megapixels: float = 50.0
    max_seconds: float = 60.0
    max_characters: int = 2000
    timeout_seconds: float = 30.0
    waiting: int = 128
    together: int = 16
    max_width: int = 10

    @property
    def max_bytes(self) -> int:
        """Of a request."""
        return round(self.max_megabytes * 2**20)

    def check(self, reads: Modality, content: bytes | str) -> None:
        """Refuses a source by what its header says, before it is decoded. What is no such source is not judged here.

        Raises:
            TooLargeError: says how large it is, and what was expected.
        """
        if isinstance(content, str):
            if len(content) > self.max_characters:
                raise TooLargeError(f"{len(content)} characters; expected at most {self.max_characters}")
        elif reads == "picture" and (pixels := _pixels(content)) > self.max_megapixels * 1e6:
            raise TooLargeError(f"{pixels / 1e6:.2f} megapixels; expected at most {self.max_megapixels:g}")
        elif reads == "recording" and (seconds := _seconds(content)) > self.max_seconds:
            raise TooLargeError(f"{seconds:.1f} s of sound; expected at most {self.max_seconds:g} s")


def _pixels(content: bytes) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as picture:
                return picture.width * picture.height
    except Exception:  # a damaged file raises what it likes; whoever reads it says why
        return 0


def _seconds(content: bytes) -> float:
    try:
        with AudioFile(io.BytesIO(content)) as file:
            return (file.frames or 0) / file.sample_rate
    except UnreadableError:
        return 0.0
