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
from typing import BinaryIO, NamedTuple, cast

from multimodal_attn.data.reading.mpeg_frames import behind_tags, is_frame

_STREAMED = ((0, 0), (0x7FFF0000, 0x80000000), (0xFFFF0000, 0xFFFFFFFF))
"""Sizes that programs write when they do not know how much will come."""
SLACK = 0.02
"""Share of the size in a header: so much may be missing, or be there beyond it."""
_LARGEST_HEAD = 1 << 20  # bytes


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
        start = file.seek(behind_tags(file))
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
    return Findings("mp3" if is_frame(head) else "")


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
        fields = [line.split(None, 2) for line in file.read(min(size, _LARGEST_HEAD)).decode("ascii").splitlines()]
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
