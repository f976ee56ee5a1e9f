from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from multimodal_attn.acoustics import colored_noise
from multimodal_attn.data.reading.audio import AudioFolder
from multimodal_attn.models.encoders.speech.distortion import Noise, Reverberation

LENGTHS = torch.tensor([16000, 6000])


def speech() -> torch.Tensor:
    waveforms = 0.1 * torch.randn(2, 16000)
    waveforms[1, 6000:] = 0
    return waveforms


def decibels(signal: torch.Tensor, noise: torch.Tensor) -> float:
    return 10 * math.log10(float(signal.square().sum() / noise.square().sum()))


def test_noise_has_the_ratio_over_real_samples() -> None:
    clean = speech()
    noisy = Noise(probability=1.0, snr_db=(12.0, 12.0))(clean, LENGTHS)
    assert not noisy[1, 6000:].any()
    for row, length in enumerate(LENGTHS.tolist()):
        added = noisy[row, :length] - clean[row, :length]
        assert decibels(clean[row], added) == pytest.approx(12.0, abs=0.01)


def test_some_recordings_stay_clean() -> None:
    clean = 0.1 * torch.randn(200, 400)
    lengths = torch.full((200,), 400)
    for distort in (Noise(probability=0.3), Reverberation(16000, probability=0.3, decay_seconds=(0.02, 0.02))):
        changed = (distort(clean, lengths) != clean).any(1).float().mean()
        assert 0.15 < changed < 0.45
        distort.probability = 0.0
        assert torch.equal(distort(clean, lengths), clean)


def test_silence_stays_finite() -> None:
    silent = torch.zeros(2, 16000)
    for distort in (Noise(probability=1.0), Reverberation(16000, probability=1.0)):
        assert torch.equal(distort(silent, LENGTHS), silent)


def test_colour_of_generated_noise() -> None:
    power = torch.fft.rfft(colored_noise(torch.randn(2, 16000), torch.tensor([0.0, 2.0]))).abs().square()
    low, high = power[:, 100:200].mean(1), power[:, 1000:2000].mean(1)
    assert float(low[0] / high[0]) == pytest.approx(1.0, rel=0.5)
    assert float(low[1] / high[1]) == pytest.approx(100.0, rel=0.5)  # ten times the frequency, squared


def test_room_keeps_time_and_power() -> None:
    click = torch.zeros(1, 16000)
    click[0, 4000] = 0.5
    wet = Reverberation(16000, 1.0, decay_seconds=(0.3, 0.3), reverberant_ratio=(0.5, 0.5))(
        click, torch.tensor([16000])
    )
    assert int(wet.abs().argmax()) == 4000
    assert not wet[0, :4000].abs().max() > 1e-5
    assert wet[0, 4000 + 4800 :].abs().max() < 1e-5  # cut at its decay
    assert float(wet.square().sum()) == pytest.approx(0.25, rel=1e-3)
    # The tail has half the direct sound's energy.
    assert float(wet[0, 4001:].square().sum() / wet[0, 4000].square()) == pytest.approx(0.5, rel=1e-2)


def test_files_take_the_place_of_what_is_generated(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    (tmp_path / "rooms").mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    soundfile.write(tmp_path / "noise" / "tone.wav", tone, 8000)  # half a second: repeated to fill the recording
    soundfile.write(tmp_path / "rooms" / "echo.wav", np.eye(1, 2000, 100)[0] + 0.5 * np.eye(1, 2000, 900)[0], 16000)
    clean = speech()
    noisy = Noise(1.0, (0.0, 0.0), AudioFolder(tmp_path / "noise", 16000))(clean, LENGTHS)
    spectrum = torch.fft.rfft(noisy[0] - clean[0]).abs()
    assert int(spectrum.argmax()) == 1000
    click = torch.zeros(1, 16000)
    click[0, 4000] = 1.0
    room = Reverberation(16000, 1.0, decay_seconds=(0.2, 0.2), recordings=AudioFolder(tmp_path / "rooms", 16000))
    wet = room(click, torch.tensor([16000]))[0]
    assert wet.abs().topk(2).indices.tolist() == [4000, 4800]
    assert float(wet[4800] / wet[4000]) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("distort", [Noise(0.5), Reverberation(16000, 0.5)])
def test_a_seed_gives_the_same_distortion(distort: torch.nn.Module) -> None:
    clean, results = 0.1 * torch.randn(8, 2000), []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        results.append(distort(clean, torch.full((8,), 2000)))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_limits_in_the_wrong_order_are_named() -> None:
    with pytest.raises(ValueError, match=r"noise.snr_db: \[20, 10\]; expected smallest and largest"):
        Noise(snr_db=(20, 10))
