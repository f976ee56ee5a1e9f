from __future__ import annotations

import math
import re

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.functional

from multimodal_attn.data.reading.audio import AudioFolder, audio_seconds, read_audio, resample
from multimodal_attn.types import UnreadableError


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * math.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_reads_resamples_and_keeps_the_tone(tmp_path, suffix):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(1.0, 22050), 22050)
    waveform = read_audio(path, 16000)
    assert waveform.dtype == torch.float32
    assert waveform.shape == (16000,)
    assert torch.fft.rfft(waveform).abs().argmax() == 440  # one bin a hertz
    assert audio_seconds(path) == pytest.approx(1.0)


def test_mixes_channels_down(tmp_path):
    path = tmp_path / "stereo.wav"
    left = tone(0.2, 16000)
    soundfile.write(path, np.stack([left, np.zeros_like(left)], axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path, 16000).numpy(), left / 2, atol=1e-6)


def test_a_channel_that_cancels_is_not_mixed_in(tmp_path):
    path = tmp_path / "stereo.wav"
    left, other = tone(0.2, 16000), tone(0.2, 16000, 300.0)
    for channels, expected in (
        ([left, -left], left),
        ([0.1 * left, -left], -left),
        ([left, -left, left], left),
        ([left, other], (left + other) / 2),
        ([left, 0.01 * other - left], left),
    ):
        soundfile.write(path, np.stack(channels, axis=1), 16000, subtype="FLOAT")
        np.testing.assert_allclose(read_audio(path, 16000).numpy(), expected, atol=1e-6)


def test_values_beyond_one(tmp_path):
    path = tmp_path / "float.wav"
    soundfile.write(path, 4 * tone(1.0, 16000), 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path, 16000).numpy(), 4 * tone(1.0, 16000), atol=1e-6)
    soundfile.write(path, 32768 * tone(1.0, 16000), 16000, subtype="FLOAT")  # 16-bit integers that were not divided
    with pytest.raises(UnreadableError, match=r"float.wav: \d+ of 16000 samples lie beyond 1, up to 16384; expected"):
        read_audio(path, 16000)


@pytest.mark.parametrize("rate", [1, 1999, 384_001, 2**31 - 1])
def test_strange_sample_rates_are_refused(tmp_path, rate):
    path = tmp_path / "strange.wav"
    soundfile.write(path, tone(0.1, 16000), 16000)
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    for read in (audio_seconds, lambda path: read_audio(path, 16000)):
        with pytest.raises(UnreadableError, match=rf"a sample rate of {rate} Hz; expected 2000 to 384000"):
            read(path)


@pytest.mark.parametrize("rate", [44_101, 22_051, 383_999, 2_003])
def test_rates_without_a_common_divisor_need_no_large_kernel(tmp_path, monkeypatch, rate):
    path = tmp_path / "odd.wav"
    soundfile.write(path, tone(1.0, rate), rate)
    sizes, plain = [], torchaudio.functional.resample
    monkeypatch.setattr(
        torchaudio.functional, "resample", lambda w, old, new: sizes.append(old * new) or plain(w, old, new)
    )
    waveform = read_audio(path, 16000)
    assert max(sizes) <= 1 << 20
    assert len(waveform) == pytest.approx(16000, abs=2)
    assert torch.fft.rfft(waveform).abs().argmax() == 440
    assert resample(torch.ones(441), 441, 160).shape == (160,)


def test_reads_a_part(tmp_path):
    path = tmp_path / "ramp.wav"
    ramp = np.linspace(-0.9, 0.9, 16000)
    soundfile.write(path, ramp, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path, 16000, start=0.25, duration=0.5).numpy(), ramp[4000:12000], atol=1e-6)
    assert len(read_audio(path, 16000, start=0.75, duration=9.0)) == 4000
    with pytest.raises(UnreadableError, match="no audio from 2 s on"):
        read_audio(path, 16000, start=2.0)
    with pytest.raises(ValueError, match="start=-1"):
        read_audio(path, 16000, start=-1)


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_too_short(tmp_path, samples):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(samples), 16000)
    with pytest.raises(UnreadableError, match=r"no audio|at least 0.025 s"):
        read_audio(path, 16000)
    with pytest.raises(UnreadableError, match=r"at least 0.025 s"):
        audio_seconds(path)


def test_not_finite(tmp_path):
    path = tmp_path / "nan.wav"
    samples = tone(0.1, 16000)
    samples[7] = np.nan
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    with pytest.raises(UnreadableError, match="NaN"):
        read_audio(path, 16000)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.wav", "^no such file$"),
        ("text.wav", "not readable as audio"),
        ("empty.flac", "not readable as audio"),
        ("noise.raw", "not readable as audio"),
        ("folder", "is no file"),
        ("n" * 300 + ".wav", "not readable as audio \\(File name too long\\)"),
    ],
)
def test_not_audio(tmp_path, name, reason):
    (tmp_path / "text.wav").write_text("these are words")
    (tmp_path / "empty.flac").touch()
    (tmp_path / "noise.raw").write_bytes(bytes(1000))
    (tmp_path / "folder").mkdir()
    for function in (lambda path: read_audio(path, 16000), audio_seconds):
        with pytest.raises(UnreadableError) as caught:
            function(tmp_path / name)
        assert re.search(reason, caught.value.reason)
        assert caught.value.path.endswith(name)


def test_truncated_flac(tmp_path):
    path = tmp_path / "cut.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 32000), 16000)
    path.write_bytes(path.read_bytes()[:30000])
    with pytest.raises(UnreadableError):
        read_audio(path, 16000)


def test_folder_gives_excerpts_of_what_can_be_read(tmp_path):
    (tmp_path / "below").mkdir()
    ramp = np.arange(16000) / 16000
    soundfile.write(tmp_path / "below" / "ramp.wav", ramp, 16000, subtype="FLOAT")
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    (tmp_path / "notes.txt").write_text("no recording")
    folder = AudioFolder(tmp_path, 16000)
    with pytest.warns(UserWarning, match=r"1 recordings are left out: .*broken.flac"):
        assert len(folder) == 1
    for position, first in ((0.0, 0.0), (0.5, 0.375), (1.0, 0.75)):
        part = folder.excerpt(0, position, 4000)
        assert len(part) == 4000
        assert float(part[0]) == pytest.approx(first, abs=1e-4)
    assert len(folder.excerpt(0, 0.3, 20000)) == 16000
    (tmp_path / "below" / "ramp.wav").unlink()
    with pytest.warns(UserWarning, match=r"ramp.wav"):
        assert not folder.excerpt(0, 0.0, 100).any()


def test_folder_is_looked_into_only_when_needed(tmp_path):
    assert len(AudioFolder(None, 16000)) == 0
    missing = AudioFolder(tmp_path / "nowhere", 16000)
    with pytest.raises(ValueError, match=r"folder: '.*nowhere' holds no readable recording; expected wav"):
        len(missing)
