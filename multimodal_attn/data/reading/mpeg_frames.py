"""The frames of MPEG audio, such as MP3, which has no header for the whole file: its length is a matter of counting."""

from __future__ import annotations

import os
from functools import cache
from typing import BinaryIO, NamedTuple

_BIT_RATES = {  # of MPEG audio, in kbit/s, by version 1 or 2 and layer
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)
_AT_ONCE, _LARGEST_FRAME = 1 << 20, 1 << 13  # bytes
_TAGS = (b"Xing", b"Info", b"VBRI")  # the first frame of an MP3 may hold no sound but the number of frames


class Frames(NamedTuple):
    """The frames of an MP3, counted.

    Attributes:
        samples: of each channel, in all frames.
        in_frame: of each channel, in one frame.
        tag: position of the tag that tells the length; None without one.
    """

    samples: int
    in_frame: int
    tag: int | None


def count_frames(file: BinaryIO) -> Frames | None:
    """The frames of an MP3; None where there is none."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, AttributeError):  # it lies in memory
        return _count_frames(file)
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if identity not in _counted:
        if len(_counted) >= 64:
            _counted.clear()
        _counted[identity] = _count_frames(file)
    return _counted[identity]


_counted: dict[tuple[int, ...], Frames | None] = {}
"""By file, as a long one is read in many parts."""


def _count_frames(file: BinaryIO) -> Frames | None:
    position, samples, first, tag = behind_tags(file), 0, None, None
    file.seek(position)
    content, offset = file.read(_AT_ONCE), 0
    while True:
        if len(content) - offset < _LARGEST_FRAME and (more := file.read(_AT_ONCE)):
            content, position, offset = content[offset:] + more, position + offset, 0
        if offset + 4 > len(content):
            break
        found = _frame(content[offset + 1], content[offset + 2]) if content[offset] == 0xFF else None
        if found is None:
            if (offset := _next_frame(content, offset + 1)) < 0:
                offset = len(content)
            continue
        size, in_frame = found
        if first is None:
            places = [place for name in _TAGS if (place := content.find(name, offset, offset + size)) >= 0]
            tag = position + places[0] if places else None
            first = in_frame
        samples += in_frame if offset + size <= len(content) else 0
        offset += size
    if first is None:
        return None
    return Frames(samples - (first if tag is not None else 0), first, tag)


def _next_frame(content: bytes, offset: int) -> int:
    """Where the next two frames in a row begin, -1 for nowhere."""
    while (offset := content.find(b"\xff", offset)) >= 0 and offset + 4 <= len(content):
        if found := _frame(content[offset + 1], content[offset + 2]):
            after = offset + found[0]
            if after + 3 <= len(content) and content[after] == 0xFF and _frame(content[after + 1], content[after + 2]):
                return offset
        offset += 1
    return -1


@cache  # of at most 2^13 pairs of bytes
def _frame(second: int, third: int) -> tuple[int, int] | None:
    """Bytes and samples of an MPEG audio frame by its header's second and third byte; None if these begin none."""
    version, layer = {3: 1, 2: 2, 0: 2.5}.get(second >> 3 & 3), {3: 1, 2: 2, 1: 3}.get(second >> 1 & 3)
    bits, rate = third >> 4, third >> 2 & 3
    if second < 0xE0 or version is None or layer is None or bits in (0, 15) or rate == 3:
        return None
    hertz = _RATES[rate] / {1: 1, 2: 2, 2.5: 4}[version]
    in_frame = {1: 384, 2: 1152, 3: 1152 if version == 1 else 576}[layer]
    slot = 4 if layer == 1 else 1
    kilobits = _BIT_RATES[1 if version == 1 else 2, layer][bits]
    return (int(in_frame / 8 * 1000 * kilobits / hertz / slot) + (third >> 1 & 1)) * slot, in_frame


def is_frame(head: bytes) -> bool:
    """Whether these bytes begin a frame."""
    return len(head) >= 4 and head[0] == 0xFF and _frame(head[1], head[2]) is not None


def behind_tags(file: BinaryIO) -> int:
    """Where a file begins after its ID3 tags."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            return position
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        position += 10 + size + (10 if head[5] & 0x10 else 0)
