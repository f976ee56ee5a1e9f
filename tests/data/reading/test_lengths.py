"""Recordings whose headers say something else than what is there."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from multimodal_attn.data.datasets.recordings import TranscribedRecordings, Utterance, written
from multimodal_attn.data.reading.audio import audio_seconds, read_audio
from multimodal_attn.data.reading.audio_file import FORMATS, AudioFile
from multimodal_attn.data.reading.segmentation import is_silent, levels
from multimodal_attn.types import Span, UnreadableError

RATE = 16000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE).astype(np.float32)


def encoded(suffix: str, samples: np.ndarray = NOISE, **settings: object) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format=suffix.upper(), **settings)
    return content.getvalue()


def flac_of_length(told: int, samples: np.ndarray = NOISE) -> bytes:
    content = bytearray(encoded("flac", samples))
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36 | told
    content[18:26] = fields.to_bytes(8, "big")
    return bytes(content)


def wav_of_size(told: int, content: bytes | None = None, order: str = "<") -> bytes:
    content = content or encoded("wav")
    place = content.index(b"data") + 4
    return content[:place] + struct.pack(f"{order}I", told) + content[place + 4 :]


def seconds_of(path: Path) -> tuple[float, float, float]:
    return audio_seconds(path), len(read_audio(path, RATE)) / RATE, len(levels(path)) / 100


@pytest.mark.parametrize("told", [0, 10_000, 40_000, len(NOISE)])
def test_flac_is_decoded_to_its_end(tmp_path: Path, told: int) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of_length(told))
    expected = soundfile.read(io.BytesIO(encoded("flac")), dtype="float32")[0]
    assert np.array_equal(read_audio(path, RATE).numpy(), expected)
    for start in (0.0, 0.7, 2.5):  # parts too, beyond what the header tells of
        part = read_audio(path, RATE, start, 0.25).numpy()
        assert np.array_equal(part, expected[round(start * RATE) :][: round(0.25 * RATE)])
    assert len(levels(path)) == 300
    assert audio_seconds(path) == (told or len(NOISE)) / RATE
    assert np.array_equal(read_audio(io.BytesIO(path.read_bytes()), RATE).numpy(), expected)


@pytest.mark.parametrize("told", [60_000, 1 << 35, (1 << 36) - 1])
def test_flac_that_tells_of_more_than_there_is_takes_no_memory_and_is_named(tmp_path: Path, told: int) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of_length(told))
    tracemalloc.start()
    for read in (lambda: read_audio(path, RATE, longest_seconds=1e9), lambda: levels(path)):
        with pytest.raises(UnreadableError, match=rf"a.flac: truncated: 48000 of {told} samples"):
            read()
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


def test_what_batches_are_planned_with_must_hold(tmp_path: Path) -> None:
    (tmp_path / "short.flac").write_bytes(flac_of_length(10_000))
    (tmp_path / "good.flac").write_bytes(encoded("flac"))
    found = TranscribedRecordings(
        [Utterance(name, tmp_path / f"{name}.flac", written("one")) for name in ("short", "good")], RATE
    )
    assert len(found[1].source) == len(NOISE)
    with pytest.raises(UnreadableError, match=r"short.flac: lasts 3.00 s, though its header or a list says 0.62 s"):
        found[0]


@pytest.mark.parametrize("told", [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 20_000])
def test_streamed_wav_is_whole(tmp_path: Path, told: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_of_size(told))
    assert seconds_of(path) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "ogg", "mp3", "au", "nist", "svx"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_what_is_cut_off_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    whole = encoded(suffix)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(whole)
    assert seconds_of(path) == (3.0, 3.0, pytest.approx(3.0, abs=0.02))
    path.write_bytes(whole[: round(share * len(whole))])
    for read in (audio_seconds, levels, lambda path: read_audio(path, RATE), lambda path: read_audio(path, RATE, 0.5)):
        with pytest.raises(UnreadableError, match=rf"a\.{suffix}: truncated"):
            read(path)


def test_ogg_that_is_cut_between_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 20 * RATE)
    whole = encoded("ogg", sound)
    pages = [place for place in range(len(whole)) if whole.startswith(b"OggS", place)]
    path.write_bytes(whole)
    assert seconds_of(path)[:2] == (20.0, 20.0)
    assert len(pages) > 4
    for page in pages[3:]:
        path.write_bytes(whole[:page])
        with pytest.raises(UnreadableError, match=r"a\.ogg: truncated: its last page is not marked as the last"):
            read_audio(path, RATE)


@pytest.mark.parametrize("endian", ["BIG", "LITTLE"])
def test_au_of_any_told_size_is_whole(tmp_path: Path, endian: str) -> None:
    content, path = encoded("au", endian=endian), tmp_path / "a.au"
    order = ">" if endian == "BIG" else "<"
    for told in (96_000, 20_000, 0xFFFFFFFF):
        path.write_bytes(content[:8] + struct.pack(f"{order}I", told) + content[12:])
        assert seconds_of(path) == (3.0, 3.0, 3.0)
    path.write_bytes(content[:8] + struct.pack(f"{order}I", 200_000) + content[12:])
    with pytest.raises(UnreadableError, match=r"a\.au: truncated: 96000 of 200000 bytes of sound are there"):
        read_audio(path, RATE)


@pytest.mark.parametrize("name", sorted(set(soundfile.available_formats()) - {*FORMATS, "RAW", "SD2", "MPC2K"}))
def test_formats_that_tell_no_length_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.x"
    soundfile.write(path, NOISE, RATE, format=name)
    with pytest.raises(UnreadableError, match=rf"a.x: is a recording in the format {name}; expected WAV, "):
        read_audio(path, RATE)


def test_chunks_behind_the_sound_are_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded("wav") + b"LIST" + struct.pack("<I", 4000) + b"INFO" + bytes(3996))
    assert seconds_of(path) == (3.0, 3.0, 3.0)
    path.write_bytes(encoded("wav") + b"TAG" + bytes(125))
    assert seconds_of(path) == (3.0, 3.0, 3.0)


def quiet_then_loud() -> np.ndarray:
    """What an encoder spends few bits on first."""
    loud = np.random.default_rng(1).uniform(-0.5, 0.5, 20 * RATE)
    return np.concatenate([1e-4 * loud, loud]).astype(np.float32)


@pytest.mark.parametrize("backward", [False, True])
def test_mp3_of_variable_rate_without_its_tag_is_read_to_the_end(tmp_path: Path, backward: bool) -> None:
    sound = quiet_then_loud()[:: -1 if backward else 1]
    whole = encoded("mp3", sound, bitrate_mode="VARIABLE", compression_level=0.5)
    second = whole.index(whole[:2], 200)  # the first frame has the tag and no sound
    assert b"Xing" in whole[:second]
    path = tmp_path / "a.mp3"
    path.write_bytes(whole[second:])
    assert seconds_of(path) == pytest.approx((40.0, 40.0, 40.0), abs=0.2)
    complete = read_audio(path, RATE).numpy()
    level = np.square(complete.reshape(-1)[: 40 * RATE].reshape(40, -1)).mean(1) > 1e-3
    assert level.sum() in (19, 20, 21)
    part = read_audio(path, RATE, 30.0, 2.0).numpy()
    assert np.abs(part[2000:] - complete[30 * RATE : 32 * RATE][2000:]).max() < 1e-3


def test_mp3_with_a_forged_tag_is_read_to_the_end(tmp_path: Path) -> None:
    content = bytearray(encoded("mp3", bitrate_mode="VARIABLE"))
    tag = content.index(b"Xing")
    content[tag + 8 : tag + 12] = (20).to_bytes(4, "big")  # of some 84 frames
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    assert seconds_of(path) == pytest.approx((3.0, 3.0, 3.0), abs=0.2)


def test_gsm_needs_no_seek(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded("wav", subtype="GSM610"))
    assert seconds_of(path) == (3.0, 3.0, 3.0)
    whole = read_audio(path, RATE).numpy()
    assert np.array_equal(read_audio(path, RATE, 1.5, 0.5).numpy(), whole[24_000:32_000])


def test_a_long_silence_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(600 * 8000, np.int16), 8000)
    tracemalloc.start()
    level = levels(path)
    assert is_silent(level, Span(0, 600))
    with pytest.raises(UnreadableError, match="longer than 60 s"):
        read_audio(path, 8000, longest_seconds=60)
    assert tracemalloc.get_traced_memory()[1] < 12e6  # as floats it has 19 MB
    tracemalloc.stop()
    assert len(read_audio(path, 8000, 500.0, 60.0, longest_seconds=60)) == 60 * 8000


def test_blocks_are_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (400_000, 3)).astype(np.float32)
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    with AudioFile(path) as file:
        blocks = list(file.blocks())
        assert (file.frames, file.position, file.sample_rate) == (400_000, 400_000, RATE)
    assert len(blocks) > 1
    np.testing.assert_allclose(np.concatenate(blocks), sound.mean(1), atol=1e-6)
