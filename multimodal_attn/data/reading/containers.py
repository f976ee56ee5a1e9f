"""What the headers of recordings say of their length, held against the file itself.

A header is written before the sound or mended after it, and a program that streams, is killed or lies leaves it wrong.
libsndfile believes it. Here a file is looked at before libsndfile opens it: what is cut off is refused, and where more
is there than the header says, libsndfile is shown another header.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO, NamedTuple, cast

_STREAMED = ((0, 0), (0x7FFF0000, 0x80000000), (0xFFFF0000, 0xFFFFFFFF))
"""Sizes that programs write who do not know how much will come."""
SLACK = 0.02
"""Of a told size: so much may be there beside it, or be missing."""
_BIT_RATES = {  # of MPEG audio, in kbit/s, by version 1 or 2 and layer
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)
_SMALL, _AT_ONCE, _LARGEST_FRAME, _ID3V1 = 1 << 20, 1 << 20, 1 << 13, 128  # bytes
_TAGS = (b"Xing", b"Info", b"VBRI")  # the first frame of an MP3 may hold no sound but the number of frames


class _Form(NamedTuple):
    """How a container lays out its chunks: where the first is, names of the one with the sound, the bytes before a
    chunk's content, the size (the last of these), what it counts of them, and what positions are multiples of."""

    first: int
    sound: tuple[bytes, ...]
    head: int
    size: str
    counted: int = 0
    align: int = 2


_FORMS = {
    **dict.fromkeys((b"RIFF", b"RF64", b"BW64"), _Form(12, (b"data",), 8, "<I")),
    b"RIFX": _Form(12, (b"data",), 8, ">I"),
    b"FORM": _Form(12, (b"SSND", b"BODY"), 8, ">I"),
    b"riff": _Form(40, (b"data",), 24, "<q", counted=24, align=8),
}
_SUN = {b".snd": ">", b"dns.": "<"}
_LAST_PAGE = 4  # a bit of the flags of an Ogg page


class Truncated(ValueError):
    """A file that ends before its sound does."""


class Findings(NamedTuple):
    """What a look at a file has found.

    Attributes:
        kind: "flac", "mp3" or "" for the rest.
        told: samples of each channel by the header; 0 where it leaves them open, None where libsndfile is to tell.
        patches: position -> bytes that libsndfile is to see there.
    """

    kind: str = ""
    told: int | None = None
    patches: tuple[tuple[int, bytes], ...] = ()


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


def look_at(file: BinaryIO) -> Findings:
    """What the header of a recording says.

    Raises:
        Truncated: if the file ends before its sound does.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    buffered = io.BufferedReader(cast(io.RawIOBase, file), 4096)  # a raw file, or one in memory
    try:
        return _look_at(buffered, end)
    finally:
        buffered.detach()


def _look_at(file: BinaryIO, end: int) -> Findings:
    head, start = file.read(26), 0
    if head.startswith(b"ID3"):
        start = file.seek(_behind_tags(file))
        head = file.read(26)
    if head.startswith(b"fLaC"):
        return _look_at_flac(head, start)
    if head[:4] in _FORMS:
        return Findings(patches=_look_at_chunks(file, end, _FORMS[head[:4]]))
    if head.startswith(b"OggS"):
        _look_at_ogg(file, end)
    if head[:4] in _SUN:
        return Findings(patches=_look_at_sun(head, end, _SUN[head[:4]]))
    if head.startswith(b"NIST_1A"):
        _look_at_nist(file, end)
    return Findings("mp3" if _is_frame(head) else "")


def _look_at_flac(head: bytes, start: int) -> Findings:
    """The number of samples is hidden: then libsndfile decodes to the end, as for a stream."""
    fields = int.from_bytes(head[18:26], "big")  # of STREAMINFO, the last 36 bits are the number
    return Findings("flac", fields & (1 << 36) - 1, ((start + 21, bytes([head[21] & 0xF0, 0, 0, 0, 0])),))


def _look_at_chunks(file: BinaryIO, end: int, form: _Form) -> tuple[tuple[int, bytes], ...]:
    """WAV and its kin: the size of the chunk with the sound."""
    large, width = None, struct.calcsize(form.size)
    for position, name, size in _chunks(file, form, form.first, end):
        if name == b"ds64":  # sizes of 64 bits; those in the usual places are all ones then
            file.seek(position + 16)
            large = int.from_bytes(file.read(8), "little")
        if not name.startswith(form.sound):
            continue
        size = large if large is not None and size == 0xFFFFFFFF else size
        there = end - position - form.head
        place = position + form.head - width
        if size == 0 and there > 0:
            return ((place, b"\xff" * width),)  # which libsndfile takes for a stream
        if any(low <= size <= high for low, high in _STREAMED):
            return ()
        _check_there(there, size)
        behind = _behind(form, position, size)
        if end - behind > max(8, SLACK * size) and not _is_chunk(file, form, behind, end):
            return ((place, b"\xff" * width),)  # what follows is more of the sound
        return ()
    return ()


def _chunks(file: BinaryIO, form: _Form, position: int, end: int) -> Iterator[tuple[int, bytes, int]]:
    """Position, name and size of each, the size without the head."""
    while position + form.head <= end:
        file.seek(position)
        head = file.read(form.head)
        size = struct.unpack(form.size, head[-struct.calcsize(form.size) :])[0] - form.counted
        yield position, head[:4], size
        position = _behind(form, position, max(0, size))


def _behind(form: _Form, position: int, size: int) -> int:
    return position + form.head + size + -size % form.align


def _is_chunk(file: BinaryIO, form: _Form, position: int, end: int) -> bool:
    _, name, size = next(_chunks(file, form, position, end), (0, b"\0", 0))
    fits = position + form.head + size <= end + 1 and all(32 <= byte < 127 for byte in name)
    return fits or name.startswith((b"TAG", b"ID3", b"APE"))


def _check_there(there: int, told: int) -> None:
    if there < (1 - SLACK) * told:
        raise Truncated(f"truncated: {there} of {told} bytes of sound are there")


def _look_at_sun(head: bytes, end: int, order: str) -> tuple[tuple[int, bytes], ...]:
    """Sun's au: the size stands in its head, all ones where it was not known."""
    if len(head) < 12:
        return ()
    begin, size = struct.unpack(f"{order}II", head[4:12])
    there = end - begin
    if any(low <= size <= high for low, high in _STREAMED[1:]):
        return ()
    _check_there(there, size)
    return ((8, b"\xff" * 4),) if there > (1 + SLACK) * size else ()  # which libsndfile takes for a stream


def _look_at_nist(file: BinaryIO, end: int) -> None:
    """NIST's SPHERE: lines of text in a head of a told size."""
    file.seek(8)
    try:
        size = int(file.read(8))
        file.seek(0)
        fields = [line.split(None, 2) for line in file.read(min(size, _SMALL)).decode("ascii").splitlines()]
        told = {field[0]: int(field[2]) for field in fields if len(field) == 3 and field[1] == "-i"}
        _check_there(end - size, told["sample_count"] * told["sample_n_bytes"] * told.get("channel_count", 1))
    except (KeyError, UnicodeDecodeError):
        return  # libsndfile refuses it


def _look_at_ogg(file: BinaryIO, end: int) -> None:
    start = max(0, end - (1 << 17))  # two of the largest pages
    file.seek(start)
    tail = file.read(end - start)
    page = tail.rfind(b"OggS")
    if page < 0:
        return
    header = tail[page : page + 27]
    segments = tail[page + 27 : page + 27 + header[26]] if len(header) == 27 else b""
    if len(header) < 27 or len(segments) < header[26] or page + 27 + len(segments) + sum(segments) > len(tail):
        raise Truncated("truncated: its last page is cut off")
    if not header[5] & _LAST_PAGE:
        raise Truncated("truncated: its last page is not marked as the last of the stream")


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
    position, samples, first, tag = _behind_tags(file), 0, None, None
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


def _is_frame(head: bytes) -> bool:
    return len(head) >= 4 and head[0] == 0xFF and _frame(head[1], head[2]) is not None


def _behind_tags(file: BinaryIO) -> int:
    """Where a file begins behind its ID3 tags."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            return position
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        position += 10 + size + (10 if head[5] & 0x10 else 0)


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
