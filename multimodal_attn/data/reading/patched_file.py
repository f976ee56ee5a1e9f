"""Files that show a reader other bytes in some places: headers mended without a copy of the file."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

_SMALL, _ID3V1 = 1 << 20, 128  # bytes


def patched(file: BinaryIO, patches: tuple[tuple[int, bytes], ...]) -> BinaryIO:
    """A file with other bytes in some places; a small one in memory, where reading needs no Python."""
    size = file.seek(0, os.SEEK_END)
    if size > _SMALL:
        return Patched(file, patches)  # type: ignore[return-value]
    content = bytearray(size)
    file.seek(0)
    file.readinto(content)  # type: ignore[attr-defined]
    for at, data in patches:
        content[at : at + len(data)] = data
    return io.BytesIO(content)


class Patched(io.RawIOBase):
    """A file with other bytes in some places, and of another size if that is asked for.

    Of what a larger size adds only the last bytes are there, as zeros: a decoder of MP3 looks for a tag in them.
    """

    def __init__(self, file: BinaryIO, patches: tuple[tuple[int, bytes], ...], size: int | None = None) -> None:
        super().__init__()
        self._file, self._patches, self._size = file, patches, size
        self._behind = max((at + len(data) for at, data in patches), default=0)
        self._position = 0
        file.seek(0)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        number = self._file.readinto(buffer)  # type: ignore[attr-defined]
        if self._size is not None and number == 0 and self._position >= self._size - _ID3V1:
            number = min(len(buffer), max(0, self._size - self._position))
            buffer[:number] = bytes(number)
        if self._position < self._behind:
            for at, data in self._patches:
                low, high = max(at, self._position), min(at + len(data), self._position + number)
                if low < high:
                    buffer[low - self._position : high - self._position] = data[low - at : high - at]
        self._position += number
        return int(number)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END and self._size is not None:
            offset, whence = self._size + offset, os.SEEK_SET
        self._position = self._file.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        return self._position
